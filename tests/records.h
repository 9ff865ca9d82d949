/* Datagrams seen on the wire, dissected.
 *
 * MBEDTLS_*: Mbed TLS 3.6.6, PSK with AES-128-CCM-8, server CID 0720b1d07b359d3c, device CID empty. OPENSSL_*:
 * OpenSSL 3.0.
 */
#ifndef CIDLB_TESTS_RECORDS_H
#define CIDLB_TESTS_RECORDS_H

/* One line per field. */
/* clang-format off */

#define MBEDTLS_CLIENT_HELLO \
	/* record       type 22, version, epoch 0, sequence 0, length 93 */ "16 fefd 0000 000000000000 005d" \
	/* handshake    ClientHello, length 81, message 0, fragment 0+81 */ "01 000051 0000 000000 000051" \
	/* hello        version                                          */ "fefd" \
	/*              random                                           */ "6b02c931da6fb8ae951071f14f33a687c2cb1ca5700ee11124708da0292a981c" \
	/*              session id, cookie: empty                        */ "00 00" \
	/*              suites: PSK-AES128-CCM-8, renegotiation          */ "0004 c0a8 00ff" \
	/*              compression: none                                */ "01 00" \
	/* extensions   35 octets                                        */ "0023" \
	/*              signature algorithms                             */ "000d 000e 000c 060306010503050104030401" \
	/*              connection_id, empty                             */ "0036 0001 00" \
	/*              encrypt-then-MAC, extended master secret, ticket */ "0016 0000 0017 0000 0023 0000"

#define MBEDTLS_HELLO_VERIFY_REQUEST \
	/* record       type 22, version, epoch 0, sequence 0, length 47 */ "16 fefd 0000 000000000000 002f" \
	/* handshake    HelloVerifyRequest, 35, message 0, fragment 0+35 */ "03 000023 0000 000000 000023" \
	/*              version, length of the cookie                    */ "fefd 20" \
	/*              cookie                                           */ "6b02c93142c81e039be786281ebacc2ee6747a7fd64436f69a828bb923e6f5fd"

/* The last flight of the device, one datagram: records at 0, 32 and 46. */
#define MBEDTLS_FLIGHT5 \
	/* record       type 22, version, epoch 0, sequence 2, length 19 */ "16 fefd 0000 000000000002 0013" \
	/* handshake    ClientKeyExchange, 7, message 2, fragment 0+7    */ "10 000007 0002 000000 000007" \
	/*              identity "dev-1"                                 */ "0005 6465762d31" \
	/* record       type 20, version, epoch 0, sequence 3, length 1  */ "14 fefd 0000 000000000003 0001" \
	/*              ChangeCipherSpec                                 */ "01" \
	/* record       type 25, version, epoch 1, sequence 0            */ "19 fefd 0001 000000000000" \
	/*              CID, length 48                                   */ "0720b1d07b359d3c 0030" \
	/*              explicit nonce                                   */ "0001000000000000" \
	/*              Finished, encrypted, padded to 32                */ "070b8950f571e1f4de342dc91e1bdf58f927b8d5369952d095f7f638aac6a46c" \
	/*              tag                                              */ "47c317a299930fef"

#define MBEDTLS_APPLICATION_DATA \
	/* record       type 25, version, epoch 1, sequence 1            */ "19 fefd 0001 000000000001" \
	/*              CID, length 32                                   */ "0720b1d07b359d3c 0020" \
	/*              explicit nonce                                   */ "0001000000000001" \
	/*              an Empty CoAP message, encrypted, padded to 16   */ "a324626812371bd8ab8a9ed510446bad" \
	/*              tag                                              */ "a322f79702a025fc"

/* Record version feff; no connection_id. */
#define OPENSSL_CLIENT_HELLO \
	/* record       type 22, version, epoch 0, sequence 0, length 122 */ "16 feff 0000 000000000000 007a" \
	/* handshake    ClientHello, 110, message 0, fragment 0+110      */ "01 00006e 0000 000000 00006e" \
	/* hello        version                                          */ "fefd" \
	/*              random                                           */ "0eaa5c400480d375297fec238ff95297f4715d18d89ab8483bb52b3b68f8ca41" \
	/*              session id, cookie: empty                        */ "00 00" \
	/*              suites: PSK-AES128-CCM-8, renegotiation          */ "0004 c0a8 00ff" \
	/*              compression: none                                */ "01 00" \
	/* extensions   64 octets                                        */ "0040" \
	/*              ticket, encrypt-then-MAC, extended master secret */ "0023 0000 0016 0000 0017 0000" \
	/*              signature algorithms                             */ "000d 0030 002e" \
	"040305030603080708080809080a080b080408050806040105010601030302030301020103020202040205020602"

#define OPENSSL_HELLO_VERIFY_REQUEST \
	/* record       type 22, version, epoch 0, sequence 0, length 35 */ "16 feff 0000 000000000000 0023" \
	/* handshake    HelloVerifyRequest, 23, message 0, fragment 0+23 */ "03 000017 0000 000000 000017" \
	/*              version, length of the cookie                    */ "feff 14" \
	/*              cookie                                           */ "9fce4d138961469aff39eece8e3eb891968a9adc"

/* The server's first flight, one datagram: records at 0 and 78. */
#define OPENSSL_FLIGHT4 \
	/* record       type 22, version, epoch 0, sequence 1, length 65 */ "16 fefd 0000 000000000001 0041" \
	/* handshake    ServerHello, 53, message 1, fragment 0+53        */ "02 000035 0001 000000 000035" \
	/* hello        version                                          */ "fefd" \
	/*              random                                           */ "36c7c418fac1f80df08ef663daca1dcd6f0604486de646969ed639d410f67ba9" \
	/*              session id empty, suite, compression             */ "00 c0a8 00" \
	/* extensions   renegotiation, ticket, extended master secret    */ "000d ff01 0001 00 0023 0000 0017 0000" \
	/* record       type 22, version, epoch 0, sequence 2, length 12 */ "16 fefd 0000 000000000002 000c" \
	/* handshake    ServerHelloDone, 0, message 2, fragment 0+0      */ "0e 000000 0002 000000 000000"

/* clang-format on */

#endif
