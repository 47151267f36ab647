"""The pictures: develop, register, fuse, finish. Imports neither capture nor rail."""
