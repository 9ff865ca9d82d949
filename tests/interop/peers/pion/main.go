// A DTLS server with pion that echoes.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/pion/dtls/v3"
)

const usage = "usage: pion PORT psk [CID LENGTH] | pion PORT CERTIFICATE KEY"

func configure(args []string) (*dtls.Config, error) {
	if args[0] != "psk" {
		certificate, err := tls.LoadX509KeyPair(args[0], args[1])
		return &dtls.Config{Certificates: []tls.Certificate{certificate}}, err
	}
	config := &dtls.Config{
		PSK:             func([]byte) ([]byte, error) { return []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, nil },
		PSKIdentityHint: []byte("pion"),
		CipherSuites:    []dtls.CipherSuiteID{dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256},
	}
	if len(args) == 2 {
		length, err := strconv.Atoi(args[1])
		if err != nil {
			return nil, err
		}
		config.ConnectionIDGenerator = dtls.RandomCIDGenerator(length)
	}
	return config, nil
}

func run(port string, args []string) error {
	config, err := configure(args)
	if err != nil {
		return err
	}
	address, err := net.ResolveUDPAddr("udp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	listener, err := dtls.Listen("udp", address, config)
	if err != nil {
		return err
	}
	for {
		// The first read or write begins the handshake: one that hangs keeps nobody else waiting.
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}
