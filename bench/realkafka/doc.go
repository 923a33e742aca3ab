// Package realkafka starts an Apache Kafka on the loopback, from its published jars.
//
//	pom.xml ──mvn, once──▶ <user cache>/leat/kafka-<hash of pom.xml>/*.jar
//	Start ──▶ sh ──▶ java kafka.Kafka       one node, broker and controller, free ports
//	          └ ends java as soon as whoever called Start is gone
//
// There is only one type: Broker. It needs Java 17 and Maven; Missing says which
// is absent. Its data is in a folder of the caller's, or in a temporary one that
// Stop removes. A broker can be killed hard and started again on its folder: it
// keeps its ports.
package realkafka
