"""Tables made to be looked at: in Greenplum or PostgreSQL."""
