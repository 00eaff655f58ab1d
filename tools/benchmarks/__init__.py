"""`make bench`: what a request, a cold start and a file cost in CPU time, beside what else one could have written."""
