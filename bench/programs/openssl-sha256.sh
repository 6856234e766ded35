. ./openssl.inc
measure -bytes 8192 -evp sha256
