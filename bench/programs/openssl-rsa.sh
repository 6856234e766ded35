. ./openssl.inc
measure rsa2048
