//! The TCP addresses a process listens on, read from /proc as ss(8) does.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State `TCP_LISTEN` in the kernel's include/net/tcp_states.h.
const LISTEN: &str = "0A";

/// The addresses that `pid` listens on.
pub(super) fn of_process(pid: u32) -> io::Result<Vec<SocketAddr>> {
    let inodes = socket_inodes(pid)?;
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = match std::fs::read_to_string(format!("/proc/{pid}/net/{table}")) {
            Ok(text) => text,
            // A kernel without IPv6 has no tcp6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for (address, inode) in text.lines().skip(1).filter_map(parse_listener) {
            if inodes.contains(inode) {
                addresses.push(address);
            }
        }
    }
    Ok(addresses)
}

fn socket_inodes(pid: u32) -> io::Result<HashSet<String>> {
    let mut inodes = HashSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // Descriptors come and go while they are listed.
        let Ok(link) = std::fs::read_link(entry?.path()) else {
            continue;
        };
        let inode = link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        inodes.extend(inode.map(str::to_owned));
    }
    Ok(inodes)
}

/// The local address and the inode of one line of /proc/net/tcp, if it is a listener.
fn parse_listener(line: &str) -> Option<(SocketAddr, &str)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
        return None;
    };
    if *state != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(parse_ip(ip)?, port), inode))
}

/// The kernel prints an address as one or four 32-bit words in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for word in hex.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    // An IPv4 address inside an IPv6 one must not hide that it is loopback, or is not.
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_in_the_kernels_notation() {
        let line = |address: &str, state: &str| {
            format!(
                "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0"
            )
        };
        let cases = [
            ("0100007F:1F90", "127.0.0.1:8080"),
            ("00000000:0050", "0.0.0.0:80"),
            ("00000000000000000000000001000000:1F90", "[::1]:8080"),
            ("0000000000000000FFFF00000100007F:1F90", "127.0.0.1:8080"),
            ("00000000000000000000000000000000:1F90", "[::]:8080"),
        ];
        for (hex, expected) in cases {
            let text = line(hex, "0A");
            let (address, inode) = parse_listener(&text).unwrap();
            assert_eq!((address.to_string().as_str(), inode), (expected, "4711"));
        }
        assert_eq!(parse_listener(&line("0100007F:1F90", "01")), None);
        for broken in ["", "0: 0100007F 0 0A", &line("0100007:1F90Z", "0A"), &line("é0007F:1", "0A")] {
            assert_eq!(parse_listener(broken), None);
        }
    }

    #[test]
    fn finds_only_what_this_process_listens_on() {
        let open = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = closed.local_addr().unwrap();
        drop(closed);
        let found = of_process(std::process::id()).unwrap();
        assert!(found.contains(&open.local_addr().unwrap()));
        assert!(!found.contains(&gone));
        assert!(of_process(u32::MAX).is_err());
    }
}
