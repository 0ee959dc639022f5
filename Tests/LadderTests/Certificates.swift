// Two self-signed certificates, each its own authority, and their keys.

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
/// For relay.test.
let otherCertificate = """
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
let otherKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgS5vJ3qep6Xf7Ot3n
    725l1xtaBqyFeSLWfNEEabEviwShRANCAASY4YoovFJXSbrR5IVJzPQx1BvtoziV
    igfX2pI58KtkLHLiojFv//zYSdowCPklUaZSj9vHoWdCIjhSmGBIJD1k
    -----END PRIVATE KEY-----
    """
