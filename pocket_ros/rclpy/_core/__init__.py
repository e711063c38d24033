"""What rclpy keeps in C: the wire, the graph, the scheduling lock and the command line."""
