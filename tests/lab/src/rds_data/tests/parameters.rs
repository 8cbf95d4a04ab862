use aws_sdk_rdsdata::primitives::Blob;
use aws_sdk_rdsdata::types::{ArrayValue, Field, SqlParameter, TypeHint};

use super::{Lab, parameter, refused, text};

#[tokio::test]
async fn fields_have_the_documented_types() {
    let lab = Lab::start().await;
    let plain = [
        (Field::LongValue(i64::MIN), "bigint"),
        (Field::DoubleValue(1e-300), "double precision"),
        (Field::DoubleValue(f64::NAN), "double precision"),
        (Field::DoubleValue(f64::NEG_INFINITY), "double precision"),
        (Field::BooleanValue(true), "boolean"),
        (Field::BlobValue(Blob::new(vec![0, 1, 254])), "bytea"),
        (text("it's :x; \\"), "character varying"),
    ];
    for (value, name) in plain {
        let row = lab
            .statement("SELECT :v, pg_typeof(:v)::text")
            .parameters(parameter("v", value.clone()))
            .send()
            .await
            .unwrap()
            .records
            .unwrap()
            .remove(0);
        let same =
            matches!((&row[0], &value), (Field::DoubleValue(a), Field::DoubleValue(b)) if a.is_nan() && b.is_nan());
        assert!(same || row[0] == value, "{row:?}");
        assert_eq!(row[1], text(name));
    }
}

#[tokio::test]
async fn type_hints() {
    let lab = Lab::start().await;
    let hinted = [
        (TypeHint::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"),
        (TypeHint::Json, "{\"a\":1}", "json"),
        (TypeHint::Timestamp, "2024-01-02 03:04:05.678", "timestamp without time zone"),
        (TypeHint::Date, "2024-01-02", "date"),
        (TypeHint::Time, "03:04:05.678", "time without time zone"),
        (TypeHint::Decimal, "12.50", "numeric"),
    ];
    for (hint, value, name) in hinted {
        let typed = SqlParameter::builder().name("v").value(text(value)).type_hint(hint).build();
        let result = lab.statement("SELECT :v, pg_typeof(:v)::text").parameters(typed).send().await.unwrap();
        assert_eq!(result.records()[0], [text(value), text(name)]);
    }
}

#[tokio::test]
async fn null_takes_the_type_of_its_place() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a int4, b jsonb, c timestamptz)").await;
    let insert = lab
        .statement("INSERT INTO t VALUES (:a, :b, :c)")
        .parameters(parameter("a", Field::IsNull(true)))
        .parameters(parameter("b", Field::IsNull(true)))
        .parameters(parameter("c", Field::IsNull(true)));
    insert.send().await.unwrap();
    let row = lab.row("SELECT * FROM t").await;
    assert_eq!(row, vec![Field::IsNull(true); 3]);
}

#[tokio::test]
async fn values_and_names_are_never_sql() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (a text)").await;
    let attack = "'); DROP TABLE t; --";
    for name in [attack, "$1", "a b", "a", "", "::int4"] {
        let insert = lab
            .statement("INSERT INTO t VALUES (:a)")
            .parameters(parameter("a", text("plain")))
            .parameters(parameter(name, text(attack)));
        insert.send().await.unwrap();
    }
    let count = "SELECT count(*), count(*) FILTER (WHERE a = $q$'); DROP TABLE t; --$q$) FROM t";
    // Six rows; the one parameter that repeats the name wins over the first.
    assert_eq!(lab.row(count).await, [Field::LongValue(6), Field::LongValue(1)]);
}

#[tokio::test]
async fn parameters_that_cannot_be_used() {
    let lab = Lab::start().await;
    let array = Field::ArrayValue(ArrayValue::LongValues(vec![Some(1)]));
    let calls = [
        (lab.statement("SELECT :missing"), "Cannot find parameter: missing"),
        (lab.statement("SELECT :a").parameters(parameter("a", array)), "Array parameters are not supported."),
        (lab.statement("SELECT :a").parameters(SqlParameter::builder().name("a").build()), "value is missing"),
    ];
    for (call, text) in calls {
        let (code, message) = refused(call.send().await);
        assert_eq!(code, "ValidationException");
        assert!(message.contains(text), "{message}");
    }
    let bad = lab.statement("SELECT :a::int4").parameters(parameter("a", text("x")));
    let (code, message) = refused(bad.send().await);
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.ends_with("; SQLState: 22P02"), "{message}");
}
