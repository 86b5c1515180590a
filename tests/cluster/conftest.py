"""Makes the servers known to the tests of this folder. Fixtures are found by their names in here."""

from tests.cluster.npm import node
from tests.cluster.servers import own_kafka, own_postgres, own_redis, real_kafka, topic_prefix

__all__ = ["node", "own_kafka", "own_postgres", "own_redis", "real_kafka", "topic_prefix"]
