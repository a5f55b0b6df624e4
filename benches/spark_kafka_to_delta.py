"""Spark structured streaming, Kafka to Delta: the peer of `keytrail store` in benches/kafka.rs.

Reads the log lines of a topic from the beginning to its end, parses the fields that keytrail's events table takes from them, and appends them to a Delta
table. Needs pyspark 4.0.0, and in one folder the jars that `org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0` and `io.delta:delta-spark_2.13:4.0.0` bring.

    python3 spark_kafka_to_delta.py BROKERS TOPIC JARS TABLE
"""
import glob
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

brokers, topic, jars, table = sys.argv[1:]
NEEDED = ["delta-spark", "delta-storage", "antlr4-runtime-4.13.1", "scala-parallel-collections", "spark-sql-kafka", "spark-token-provider-kafka", "kafka-clients", "commons-pool2"]
paths = [path for path in glob.glob(f"{jars}/*.jar") if any(path.rsplit("/", 1)[1].startswith(name) for name in NEEDED)]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", ",".join(paths))
    .config("spark.driver.memory", "3g")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
schema = (
    "eventID string, eventTime timestamp, eventSource string, eventName string, awsRegion string, sourceIPAddress string, userAgent string, recipientAccountId string, "
    "userIdentity struct<type: string, principalId: string, arn: string, accountId: string, accessKeyId: string, userName: string>, requestParameters map<string, string>"
)
lines = spark.readStream.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", topic).option("startingOffsets", "earliest").load()
value = F.col("value").cast("string")
events = lines.select(F.from_json(value, schema).alias("event"), value.alias("raw"), "partition", "offset").select("event.*", "raw", "partition", "offset")
events = events.withColumn("day", F.to_date("eventTime"))
query = (
    events.writeStream.format("delta").outputMode("append").partitionBy("day").option("checkpointLocation", f"{table}-checkpoint").trigger(availableNow=True).start(table)
)
query.awaitTermination()
print(spark.read.format("delta").load(table).count())
