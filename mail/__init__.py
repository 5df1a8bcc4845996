"""Mail, out and in: compose and send; fetch and parse."""
