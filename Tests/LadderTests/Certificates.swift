// A self-signed certificate, its own authority, and its key.

let localhostCertificate = """
    -----BEGIN CERTIFICATE-----
    MIIBlTCCATugAwIBAgIUMvPSzvho4Lygnc9DZQqFi8qOAaEwCgYIKoZIzj0EAwIw
    FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTIxMjczM1oYDzIxMjYxMTA1
    MjEyNzMzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAASC/t8STKBwSB1IZ+X3cufxWvak+SEqRhCQO9Szgh2awqnGxPIt5kQq
    g1j6NKB/ar+39j1V39kS7b6zk6fhutc3o2kwZzAdBgNVHQ4EFgQULCOHTokz4Epj
    JpTkIH0A+XVcr+0wHwYDVR0jBBgwFoAULCOHTokz4EpjJpTkIH0A+XVcr+0wDwYD
    VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
    SAAwRQIgQWlxRhDNffIISS50lagn12m77x56sRQFeH3k1/Odo/kCIQDglBUfD3pO
    aTBY/0p8FW/nTdlW0lkFD0rp5rfFzd/nYQ==
    -----END CERTIFICATE-----
    """
let localhostKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrJilgT+mfesnKFWd
    gbkr4dLvSkx6eFmFkh4gW7lWad2hRANCAASC/t8STKBwSB1IZ+X3cufxWvak+SEq
    RhCQO9Szgh2awqnGxPIt5kQqg1j6NKB/ar+39j1V39kS7b6zk6fhutc3
    -----END PRIVATE KEY-----
    """
