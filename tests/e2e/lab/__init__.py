"""What the tests of attacks share: real DTLS servers and devices driven by lines (peers), what they say to each other
(talk), datagrams of attackers (forged), who got what (ledger), and crowds that flood beside devices that must not
notice (floods)."""
