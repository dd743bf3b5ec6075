class Arguments:
    port: int
    tls_keyfile: str | None

args: Arguments
