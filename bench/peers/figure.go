package main

import "github.com/tochemey/gokv/internal/benchfig"

type figure = benchfig.Figure
