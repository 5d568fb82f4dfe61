"""People and programs who may use Kurir: operators who sign in, and service tokens."""
