"""IP-Adapter FaceID: read the file, project a face to tokens, precompute K and V, attend."""
