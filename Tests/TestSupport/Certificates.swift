/// For relay.test, signed by itself: its own authority. PEM.
public let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBmDCCAT6gAwIBAgIUFzbSpKiPng5MzDncD25Qyxq4mJ4wCgYIKoZIzj0EAwIw
    FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjQxMTQ2NTFaGA8yMTI2MTAz
    MTExNDY1MVowFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
    SM49AwEHA0IABJjhiii8UldJutHkhUnM9DHUG+2jOJWKB9fakjnwq2QscuKiMW//
    /NhJ2jAI+SVRplKP28ehZ0IiOFKYYEgkPWSjajBoMB0GA1UdDgQWBBT+FuWokj6H
    AimGsOqALdqB+dCOSjAfBgNVHSMEGDAWgBT+FuWokj6HAimGsOqALdqB+dCOSjAP
    BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnJlbGF5LnRlc3QwCgYIKoZIzj0E
    AwIDSAAwRQIge7LfC8SlKXId+rcbzgPQpBuZTQQj+q8VvcH2Ms/UdnkCIQCDGqCr
    3mYY1iSa0w5zntlgrmzbTGouBynxT0wAN7hUjw==
    -----END CERTIFICATE-----
    """
public let certificateKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgS5vJ3qep6Xf7Ot3n
    725l1xtaBqyFeSLWfNEEabEviwShRANCAASY4YoovFJXSbrR5IVJzPQx1BvtoziV
    igfX2pI58KtkLHLiojFv//zYSdowCPklUaZSj9vHoWdCIjhSmGBIJD1k
    -----END PRIVATE KEY-----
    """
