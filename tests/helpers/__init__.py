"""What several tests and scripts share: small models, files, servers, browsers."""
