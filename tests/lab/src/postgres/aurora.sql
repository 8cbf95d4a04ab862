CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT current_setting('lab.instance_id') $$;

CREATE FUNCTION pg_catalog.aurora_replica_status(
    OUT server_id text,
    OUT session_id text,
    OUT durable_lsn bigint,
    OUT highest_lsn_rcvd bigint,
    OUT current_read_lsn bigint,
    OUT cur_replay_latency_in_usec bigint,
    OUT active_txns integer,
    OUT is_current boolean,
    OUT last_transport_error integer,
    OUT last_error_timestamp timestamptz,
    OUT last_update_timestamp timestamptz,
    OUT feedback_xmin bigint,
    OUT feedback_epoch bigint,
    OUT replica_lag_in_msec bigint,
    OUT log_stream_speed_in_kib_per_second double precision,
    OUT log_buffer_sequence_number bigint,
    OUT oldest_read_view_trx_id bigint,
    OUT oldest_read_view_lsn bigint,
    OUT pending_read_ios bigint,
    OUT read_ios bigint,
    OUT iops bigint,
    OUT cpu double precision
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here pg_lsn;
    standby record;
    received record;
BEGIN
    server_id := aurora_db_instance_identifier();
    active_txns := (SELECT count(*) FROM pg_stat_activity
                     WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid());
    IF pg_is_in_recovery() THEN
        SELECT * INTO received FROM pg_stat_get_wal_receiver();
        session_id := md5(server_id || pg_postmaster_start_time())::uuid;
        durable_lsn := pg_last_wal_replay_lsn() - '0/0'::pg_lsn;
        highest_lsn_rcvd := pg_last_wal_receive_lsn() - '0/0'::pg_lsn;
        current_read_lsn := durable_lsn;
        replica_lag_in_msec := CASE
            WHEN highest_lsn_rcvd <= durable_lsn AND received.status = 'streaming' THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000 END;
        RETURN NEXT;
        server_id := current_setting('lab.writer_id', true);
        session_id := 'MASTER_SESSION_ID';
        durable_lsn := received.latest_end_lsn - '0/0'::pg_lsn;
        highest_lsn_rcvd := NULL;
        current_read_lsn := NULL;
        active_txns := NULL;
        replica_lag_in_msec := NULL;
        last_update_timestamp := coalesce(received.last_msg_receipt_time, pg_last_xact_replay_timestamp());
        RETURN NEXT;
        RETURN;
    END IF;
    here := pg_current_wal_flush_lsn();
    session_id := 'MASTER_SESSION_ID';
    durable_lsn := here - '0/0'::pg_lsn;
    current_read_lsn := durable_lsn;
    RETURN NEXT;
    active_txns := NULL;
    FOR standby IN SELECT * FROM pg_stat_replication WHERE state IN ('catchup', 'streaming') LOOP
        server_id := standby.application_name;
        session_id := md5(server_id || standby.backend_start)::uuid;
        durable_lsn := standby.flush_lsn - '0/0'::pg_lsn;
        highest_lsn_rcvd := standby.write_lsn - '0/0'::pg_lsn;
        current_read_lsn := standby.replay_lsn - '0/0'::pg_lsn;
        cur_replay_latency_in_usec := extract(epoch FROM standby.replay_lag - standby.flush_lag) * 1000000;
        last_update_timestamp := standby.reply_time;
        feedback_xmin := standby.backend_xmin::text::bigint;
        replica_lag_in_msec := CASE
            WHEN standby.replay_lsn >= here THEN 0
            ELSE extract(epoch FROM greatest(standby.replay_lag,
                                             clock_timestamp() - standby.reply_time)) * 1000 END;
        RETURN NEXT;
    END LOOP;
END
$$;

-- The server process that asks is killed, and PostgreSQL with it: a real crash.
CREATE FUNCTION pg_catalog.aurora_inject_crash(what text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    COPY (SELECT 1) TO PROGRAM 'kill -s KILL $PPID';
END
$$;
