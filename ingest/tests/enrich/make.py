# Writes the databases that the tests of `ingest/src/enrich` read, with mmdb_writer 0.2.7 and netaddr 1.3.0 from PyPI:
#     python3 -m pip install mmdb_writer==0.2.7 && python3 ingest/tests/enrich/make.py
# The addresses are those that RFC 5737 and RFC 3849 keep for documentation.
from pathlib import Path

from mmdb_writer import MMDBWriter, MmdbU32
from netaddr import IPSet


def write(name, kind, rows):
    writer = MMDBWriter(6, kind, ["en"], "keytrail's tests", ipv4_compatible=True)
    for networks, row in rows:
        writer.insert_network(IPSet(networks), row)
    writer.to_db_file(str(Path(__file__).with_name(name)))


write("country.mmdb", "GeoLite2-Country", [
    (["192.0.2.0/24"], {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "registered_country": {"iso_code": "NL"}}),
    (["203.0.113.0/25"], {"country": {"iso_code": "BR"}}),
    (["198.51.100.0/24"], {"registered_country": {"iso_code": "SE"}}),
    (["2001:db8::/32"], {"country": {"iso_code": "FR"}}),
])
write("asn.mmdb", "GeoLite2-ASN", [
    (["192.0.2.0/24"], {"autonomous_system_number": MmdbU32(64500), "autonomous_system_organization": "Example"}),
    (["2001:db8::/32"], {"autonomous_system_number": MmdbU32(64511), "autonomous_system_organization": "Example 6"}),
])
write("flat.mmdb", "flat country_asn", [
    (["192.0.2.0/25"], {"country": "Austria", "country_code": "AT", "asn": "AS64502", "as_name": "Example"}),
])
