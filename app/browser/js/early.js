// What has to be in place before Bokeh draws anything: in a page of its own it runs as soon as Bokeh is there.
import {lighten} from "./bokeh.js"

lighten()
