use aws_sdk_rdsdata::primitives::Blob;
use aws_sdk_rdsdata::types::{
    ArrayValue, DecimalReturnType, Field, LongReturnType, RecordsFormatType, ResultSetOptions,
};

use super::{Lab, text};

#[tokio::test]
async fn scalars_are_returned_in_their_member_of_the_union() {
    let lab = Lab::start().await;
    let cases = [
        ("true", Field::BooleanValue(true)),
        ("(-7)::int2", Field::LongValue(-7)),
        ("2147483647", Field::LongValue(2_147_483_647)),
        ("'-9223372036854775808'::int8", Field::LongValue(-9_223_372_036_854_775_808)),
        ("4294967295::oid", Field::LongValue(4_294_967_295)),
        ("1.1::float4", Field::DoubleValue(1.1)),
        ("1e300::float8", Field::DoubleValue(1e300)),
        ("'Infinity'::float8", Field::DoubleValue(f64::INFINITY)),
        ("'-Infinity'::float4", Field::DoubleValue(f64::NEG_INFINITY)),
        ("12.340", text("12.340")),
        ("-0.00012", text("-0.00012")),
        ("10000000000000000000000", text("10000000000000000000000")),
        ("0.000", text("0.000")),
        ("'NaN'::numeric", text("NaN")),
        ("'-Infinity'::numeric", text("-Infinity")),
        ("'ä'::text", text("ä")),
        ("'ab'::bpchar(4)", text("ab  ")),
        ("'n'::name", text("n")),
        ("'x'::\"char\"", text("x")),
        ("'\\303'::\"char\"", text("\\303")),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'{\"a\":  1}'::json", text("{\"a\":  1}")),
        ("'{\"a\":  1}'::jsonb", text("{\"a\": 1}")),
        ("'\\x00ff'::bytea", Field::BlobValue(Blob::new(vec![0, 255]))),
        ("'2024-02-29'::date", text("2024-02-29")),
        ("'0044-03-15 BC'::date", text("0044-03-15 BC")),
        ("'infinity'::date", text("infinity")),
        ("'23:59:59.5'::time", text("23:59:59.5")),
        ("'24:00:00'::time", text("24:00:00")),
        ("'1999-12-31 23:59:59.999999'::timestamp", text("1999-12-31 23:59:59.999999")),
        ("'2024-01-01 00:00:00+02'::timestamptz", text("2023-12-31 22:00:00")),
        ("'-infinity'::timestamp", text("-infinity")),
        ("NULL::int4", Field::IsNull(true)),
        ("pg_sleep(0)", text("")),
    ];
    let list: Vec<&str> = cases.iter().map(|(sql, _)| *sql).collect();
    let row = lab.row(&format!("SELECT {}", list.join(", "))).await;
    for ((sql, expected), field) in cases.iter().zip(&row) {
        assert_eq!(field, expected, "{sql}");
    }
    let nan = lab.row("SELECT 'NaN'::float8").await;
    assert!(matches!(nan[..], [Field::DoubleValue(value)] if value.is_nan()));
    lab.server.shutdown().await;
}

/// PostgreSQL itself writes the expected text.
#[tokio::test]
async fn dates_and_numbers_agree_with_the_server() {
    let lab = Lab::start().await;
    let dates = "SELECT d::date, d::date::text FROM generate_series('4713-01-01 BC'::timestamp, '9999-12-31', '401 days 7 hours') d";
    let numbers = "SELECT n, n::text FROM (SELECT (i * 7919 % 100003 - 50000) * (10::numeric ^ (i % 29 - 14)) AS n FROM generate_series(1, 3000) i) t";
    let moments = "SELECT t, t::text FROM (SELECT '0010-01-01 BC'::timestamp + i * '31 days 01:02:03.000450'::interval AS t FROM generate_series(1, 5000) i) s";
    for sql in [dates, numbers, moments] {
        let result = lab.run(sql).await;
        assert!(result.records().len() > 2000);
        for record in result.records() {
            assert_eq!(record[0], record[1], "{sql}");
        }
    }
}

#[tokio::test]
async fn arrays_of_one_dimension() {
    let lab = Lab::start().await;
    let row = lab
        .row("SELECT '{1,NULL}'::int4[], '{t,f}'::bool[], '{1.5}'::float8[], '{a,NULL,\"b,c\"}'::text[], '{1.50}'::numeric[], '{}'::int8[]")
        .await;
    let expected = [
        ArrayValue::LongValues(vec![Some(1), None]),
        ArrayValue::BooleanValues(vec![Some(true), Some(false)]),
        ArrayValue::DoubleValues(vec![Some(1.5)]),
        ArrayValue::StringValues(vec![Some("a".into()), None, Some("b,c".into())]),
        ArrayValue::StringValues(vec![Some("1.50".into())]),
        ArrayValue::LongValues(vec![]),
    ];
    for (field, array) in row.iter().zip(expected) {
        assert_eq!(field, &Field::ArrayValue(array));
    }
    let (code, _) = lab.refusal("SELECT '{{1},{2}}'::int4[]").await;
    assert_eq!(code, "UnsupportedResultException");
}

#[tokio::test]
async fn types_that_the_service_does_not_return() {
    let lab = Lab::start().await;
    for (value, name) in [
        ("'1.00'::money", "money"),
        ("'(1,2)'::point", "point"),
        ("'1 day'::interval", "interval"),
        ("'0/1'::pg_lsn", "pg_lsn"),
        ("'{1}'::money[]", "_money"),
        ("ROW(1, 2)", "record"),
    ] {
        let (code, message) = lab.refusal(&format!("SELECT {value}")).await;
        assert_eq!(code, "UnsupportedResultException");
        assert!(message.contains(&format!("unsupported data type {name}")), "{message}");
        lab.run(&format!("SELECT ({value})::text")).await;
    }
}

#[tokio::test]
async fn enums_and_domains() {
    let lab = Lab::start().await;
    lab.run("CREATE TYPE mood AS ENUM ('calm')").await;
    lab.run("CREATE DOMAIN small AS int2").await;
    let row = lab.row("SELECT 'calm'::mood, 5::small, '{calm}'::mood[]").await;
    assert_eq!(row[..2], [text("calm"), Field::LongValue(5)]);
    let moods = ArrayValue::StringValues(vec![Some("calm".into())]);
    assert_eq!(row[2], Field::ArrayValue(moods));
}

#[tokio::test]
async fn result_set_options() {
    let lab = Lab::start().await;
    let sql = "SELECT 7::int8, 12.00, 12, 1.5, 'NaN'::numeric, 99999999999999999999::numeric";
    let numbers = ResultSetOptions::builder()
        .decimal_return_type(DecimalReturnType::DoubleOrLong)
        .long_return_type(LongReturnType::String)
        .build();
    let result = lab.statement(sql).result_set_options(numbers).send().await;
    let row = &result.unwrap().records.unwrap()[0];
    assert_eq!(row[0], text("7"));
    assert_eq!(row[1], Field::DoubleValue(12.0));
    assert_eq!(row[2], text("12"));
    assert_eq!(row[3], Field::DoubleValue(1.5));
    assert!(matches!(row[4], Field::DoubleValue(value) if value.is_nan()));
    assert_eq!(row[5], Field::DoubleValue(1e20));
}

#[tokio::test]
async fn records_as_json() {
    let lab = Lab::start().await;
    let json = |sql| lab.statement(sql).format_records_as(RecordsFormatType::Json).include_result_metadata(true);
    let sql = "SELECT 1 AS \"z\"\"q\", 'a\"b' AS a, NULL::int4 AS n, 'NaN'::float8 AS f, true AS t, 1.50 AS d";
    let result = json(sql).send().await.unwrap();
    let expected = r#"[{"z\"q":1,"a":"a\"b","n":null,"f":"NaN","t":true,"d":"1.50"}]"#;
    assert_eq!(result.formatted_records(), Some(expected));
    assert!(result.records.is_none() && result.column_metadata.is_none());

    let (code, message) = super::refused(json("SELECT 1 AS a, 2 AS a").send().await);
    assert_eq!(code, "UnsupportedResultException");
    assert!(message.contains("alias"), "{message}");
    let created = json("CREATE TABLE t (a int4)").send().await.unwrap();
    assert_eq!(created.formatted_records(), None);
}

#[tokio::test]
async fn metadata_describes_the_columns() {
    let lab = Lab::start().await;
    lab.run("CREATE TABLE t (id serial PRIMARY KEY, name varchar(20), price numeric(10,2), tags text[])").await;
    let result = lab
        .statement("SELECT id, name AS n, price, tags, 1 + 1 AS sum FROM t")
        .include_result_metadata(true)
        .send()
        .await
        .unwrap();
    let columns = result.column_metadata.unwrap();
    let [id, name, price, tags, sum] = &columns[..] else {
        panic!("five columns: {columns:?}");
    };
    assert_eq!((id.nullable(), id.is_auto_increment()), (0, true));
    assert_eq!((id.r#type(), id.type_name()), (4, Some("int4")));
    assert_eq!((name.name(), name.label()), (Some("n"), Some("n")));
    assert_eq!((name.precision(), name.table_name()), (20, Some("t")));
    assert_eq!((name.nullable(), name.is_signed()), (1, false));
    assert_eq!((price.precision(), price.scale()), (10, 2));
    assert_eq!((tags.r#type(), tags.array_base_column_type()), (2003, 12));
    assert_eq!((sum.nullable(), sum.table_name()), (2, Some("")));
    assert!(lab.run("SELECT 1").await.column_metadata.is_none());
}

#[tokio::test]
async fn counts_of_rows() {
    let lab = Lab::start().await;
    let created = lab.run("CREATE TABLE t (a int4)").await;
    assert_eq!(created.number_of_records_updated(), 0);
    let inserted = lab.run("INSERT INTO t SELECT generate_series(1, 3)").await;
    assert_eq!(inserted.number_of_records_updated(), 3);
    assert_eq!(inserted.generated_fields.as_deref(), Some(&[][..]));
    assert!(inserted.records.is_none());
    let selected = lab.run("SELECT a FROM t WHERE a > 5").await;
    assert_eq!(selected.number_of_records_updated(), 0);
    assert_eq!(selected.records.as_deref(), Some(&[][..]));
    let returned = lab.run("DELETE FROM t WHERE a < 3 RETURNING a").await;
    assert_eq!(returned.records().len(), 2);
}

#[tokio::test]
async fn results_have_a_size_limit() {
    let lab = Lab::start().await;
    let id = lab.begin().await;
    for (sql, text) in [
        ("SELECT repeat('x', 70000)", "Packet for query is too large"),
        ("SELECT repeat('x', 60000) FROM generate_series(1, 20)", "Database response exceeded size limit"),
    ] {
        let (code, message) = super::refused(lab.statement(sql).transaction_id(&id).send().await);
        assert_eq!(code, "UnsupportedResultException");
        assert!(message.starts_with(text), "{message}");
    }
    // The session is still in step and the transaction open.
    let after = lab.run_in(&id, "SELECT 1").await;
    assert_eq!(after.records()[0], [Field::LongValue(1)]);
}
