//! Turns a question into an answer.

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};

use super::resolver::Resolver;
use super::zone::Target;

/// Longer chains of aliases are not followed.
const CHAIN_MAX: u32 = 4;

/// The reply to a packet; None for what is not a question.
pub(super) fn answer(resolver: &Resolver, packet: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(packet).ok()?;
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.recursion_available = true;
    reply.add_queries(question.queries.iter().cloned());
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN);
        reply.set_edns(edns);
    }
    reply.metadata.response_code = match (question.metadata.op_code, question.queries.as_slice()) {
        (OpCode::Query, [query]) => resolve(resolver, query, &mut reply),
        (OpCode::Query, _) => ResponseCode::FormErr,
        (_, _) => ResponseCode::NotImp,
    };
    reply.to_vec().ok()
}

fn resolve(resolver: &Resolver, query: &Query, reply: &mut Message) -> ResponseCode {
    if query.query_class() != DNSClass::IN {
        return ResponseCode::Refused;
    }
    let mut asked = query.name().clone();
    // Each link is kept by a resolver for its own TTL.
    for _ in 0..CHAIN_MAX {
        let Some((target, ttl)) = resolver.look_up(&LowerName::new(&asked)) else {
            return ResponseCode::NXDomain;
        };
        let Target::Hosted(next) = target else {
            return follow(resolver, (asked, query.query_type()), (target, ttl), reply);
        };
        let alias = RData::CNAME(CNAME(next.clone()));
        reply.add_answer(Record::from_rdata(std::mem::replace(&mut asked, next), ttl, alias));
    }
    ResponseCode::ServFail
}

/// Adds what a name of the cluster's own leads to.
fn follow(
    resolver: &Resolver,
    (asked, wanted): (Name, RecordType),
    (target, ttl): (Target, u32),
    reply: &mut Message,
) -> ResponseCode {
    let (owner, node) = match target {
        Target::Fixed(address) => {
            if wanted == RecordType::A {
                reply.add_answer(address_record(asked, ttl, address));
            }
            return ResponseCode::NoError;
        }
        Target::Hosted(_) => return ResponseCode::ServFail,
        Target::Instance(node) => (asked, node),
        Target::Alias(node, instance) => {
            let alias = RData::CNAME(CNAME(instance.clone()));
            reply.add_answer(Record::from_rdata(asked, ttl, alias));
            (instance, node)
        }
    };
    if wanted == RecordType::A
        && let Some(address) = resolver.records().address(resolver.view(), node)
    {
        reply.add_answer(address_record(owner, ttl, address));
    }
    ResponseCode::NoError
}

fn address_record(owner: Name, ttl: u32, address: std::net::Ipv4Addr) -> Record {
    Record::from_rdata(owner, ttl, RData::A(A(address)))
}
