// A DTLS server, and devices, with pion v4: PSK, CIDs and return routability checks (RFC 9853), DTLS 1.2 or 1.3. With
// "reject" the server never takes another address, with "unsafe" it takes one unchecked, and nobody offers checks. With
// "cid" devices take CIDs of six octets, else empty ones. The lines of ../lines.h and ../device.c, and for devices
// path S -, which goes on from another socket and with another CID of the server; it says path S ERROR.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v4"
	"github.com/pion/dtls/v4/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v4/pkg/protocol"
)

const usage = "usage: pion_v4 server PORT ID VERSION [reject | unsafe] | pion_v4 device VERSION [unsafe] [cid]     " +
	"VERSION: 1.2 or 1.3"

var (
	identity = []byte("demo")
	psk      = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	lock     sync.Mutex
	conns    = map[int]net.Conn{}
	policy   = dtls.CIDPathMigrationRRC
	own      = dtls.OnlySendCIDGenerator() // of devices
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

func common(version string, cid func() []byte) []dtls.Option {
	wire, suite := protocol.Version1_2, ciphersuite.TLS_PSK_WITH_AES_128_CCM_8
	if version == "1.3" {
		wire, suite = protocol.Version1_3, ciphersuite.TLS_AES_128_GCM_SHA256
	}
	offer := func() ([]dtls.PSK, error) { return []dtls.PSK{{Identity: identity, Key: psk}}, nil }
	find := func([][]byte) (*dtls.PSK, error) { return &dtls.PSK{Identity: identity, Key: psk}, nil }
	return []dtls.Option{
		dtls.WithPSK(offer, find), dtls.WithMinVersion(wire), dtls.WithMaxVersion(wire),
		dtls.WithCipherSuites(suite), dtls.WithConnectionID(cid, policy),
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
	// A path is taken when its check succeeds, which no data tells.
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			if now := conn.RemoteAddr().String(); now != addr {
				addr = now
				say("moved %d %s", number, addr)
			}
		}
	}()
	data := make([]byte, 65536)
	for {
		n, err := conn.Read(data)
		if err != nil {
			say("closed %d %v", number, err)
			return
		}
		say("data %d %s", number, hex.EncodeToString(data[:n]))
	}
}

func begin(number int, target, version string) {
	addr, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return
	}
	options := []dtls.ClientOption{}
	for _, option := range common(version, own) {
		options = append(options, option)
	}
	conn, err := dtls.Client(socket, addr, options...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		return
	}
	serve(conn, number)
}

// RFC 9147, section 9: a device that knows that it has moved shows another CID.
func leave(conn net.Conn) error {
	session, ok := conn.(*dtls.Conn)
	if !ok {
		return net.ErrClosed
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	path, err := session.AddPath(socket)
	if err != nil {
		return err
	}
	for range 5 {
		limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err = path.Probe(limit)
		cancel()
		if err == nil {
			return path.Switch()
		}
	}
	return err
}

func commands(version string) {
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
			go begin(number, words[2], version)
			continue
		}
		data, _ := hex.DecodeString(words[2])
		lock.Lock()
		conn := conns[number]
		lock.Unlock()
		if conn != nil && words[0] == "path" {
			go func() { say("path %d %v", number, leave(conn)) }()
		} else if conn != nil {
			conn.Write(data)
		}
	}
}

func run(port, id int, version string) error {
	options := []dtls.ServerOption{}
	for _, option := range common(version, minted(byte(id))) {
		options = append(options, option)
	}
	listener, err := dtls.ListenAddr("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, options...)
	if err != nil {
		return err
	}
	say("ready")
	go commands(version)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(conn, 0)
	}
}

func main() {
	os.Args = slices.DeleteFunc(os.Args, func(word string) bool {
		switch word {
		case "reject":
			policy = dtls.CIDPathMigrationReject
		case "unsafe":
			policy = dtls.CIDPathMigrationUnsafe
		case "cid":
			own = dtls.RandomCIDGenerator(6)
		default:
			return false
		}
		return true
	})
	if len(os.Args) == 3 && os.Args[1] == "device" {
		say("ready")
		commands(os.Args[2])
	}
	if len(os.Args) != 5 || os.Args[1] != "server" {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	port, _ := strconv.Atoi(os.Args[2])
	id, _ := strconv.Atoi(os.Args[3])
	if err := run(port, id, os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}
