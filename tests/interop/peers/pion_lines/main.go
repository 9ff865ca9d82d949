// A DTLS 1.2 server, and devices, with pion v3, PSK and CIDs: the lines of ../lines.h and ../device.c. With "cid"
// devices take CIDs of six octets, else empty ones.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

var (
	psk   = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	lock  sync.Mutex
	conns = map[int]net.Conn{}
)

func say(format string, args ...any) {
	lock.Lock()
	defer lock.Unlock()
	fmt.Printf(format+"\n", args...)
}

// A CID of 6 octets that begins with the server's id.
func minted(id byte) func() []byte {
	return func() []byte {
		cid := make([]byte, 6)
		if _, err := rand.Read(cid); err != nil {
			panic(err)
		}
		cid[0] = id
		return cid
	}
}

func config(hint string, cid func() []byte) *dtls.Config {
	return &dtls.Config{
		PSK:                   func([]byte) ([]byte, error) { return psk, nil },
		PSKIdentityHint:       []byte(hint),
		CipherSuites:          []dtls.CipherSuiteID{dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256},
		ConnectionIDGenerator: cid,
	}
}

// Shakes hands and reads until the session ends.
func serve(conn net.Conn, number int) {
	session, ok := conn.(*dtls.Conn)
	if !ok {
		return
	}
	limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	err := session.HandshakeContext(limit)
	cancel()
	if err != nil {
		conn.Close()
		return
	}
	lock.Lock()
	if number == 0 {
		number = len(conns) + 1
	}
	conns[number] = conn
	lock.Unlock()
	addr := conn.RemoteAddr().String()
	say("open %d %s", number, addr)
	data := make([]byte, 65536)
	for {
		n, err := conn.Read(data)
		if err != nil {
			say("closed %d %v", number, err)
			return
		}
		if now := conn.RemoteAddr().String(); now != addr {
			addr = now
			say("moved %d %s", number, addr)
		}
		say("data %d %s", number, hex.EncodeToString(data[:n]))
	}
}

func begin(number int, target string, config *dtls.Config) {
	addr, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return
	}
	conn, err := dtls.Client(socket, addr, config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		return
	}
	serve(conn, number)
}

func commands(own *dtls.Config) {
	in := bufio.NewReaderSize(os.Stdin, 1<<18)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			os.Exit(0)
		}
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		number, _ := strconv.Atoi(words[1])
		if words[0] == "new" {
			go begin(number, words[2], own)
			continue
		}
		data, _ := hex.DecodeString(words[2])
		lock.Lock()
		conn := conns[number]
		lock.Unlock()
		if conn != nil {
			conn.Write(data)
		}
	}
}

func run(port, id int) error {
	own := config("pion", minted(byte(id)))
	listener, err := dtls.Listen("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, own)
	if err != nil {
		return err
	}
	say("ready")
	go commands(own)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(conn, 0)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "device" {
		cid := dtls.OnlySendCIDGenerator()
		if len(os.Args) == 3 && os.Args[2] == "cid" {
			cid = dtls.RandomCIDGenerator(6)
		}
		say("ready")
		commands(config("demo", cid))
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pion_lines PORT ID | pion_lines device [cid]")
		os.Exit(2)
	}
	port, _ := strconv.Atoi(os.Args[1])
	id, _ := strconv.Atoi(os.Args[2])
	if err := run(port, id); err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}
