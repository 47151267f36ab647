"""Looks and zoom of the report: black on white, two plots to a row, pages that break between sections."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#111;background:#fff;max-width:1200px;margin:0 auto;padding:1em}
h1{font-size:1.5em;margin:.3em 0}h2{font-size:1.15em;margin:1.4em 0 .3em;border-bottom:1px solid #bbb}
.view{overflow:hidden;border:1px solid #999;background:#222;max-height:80vh;width:100%;cursor:grab;touch-action:none}
.view img{width:100%;height:100%;object-fit:contain;transform-origin:0 0;user-select:none;-webkit-user-drag:none}
.hint{color:#555;margin:.2em 0}.map{max-width:100%;image-rendering:pixelated;border:1px solid #999}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:.6em}svg{width:100%;max-width:760px;height:auto}
table{border-collapse:collapse;font-size:.92em}td,th{text-align:left;padding:.1em .8em .1em 0;vertical-align:top}
th{border-bottom:1px solid #888}pre{background:#f4f4f4;padding:.7em;overflow:auto}
.legend{list-style:none;padding:0}.legend li{display:inline-block;margin-right:1.4em}
.legend span{display:inline-block;width:1em;height:1em;border:1px solid #333;margin-right:.4em;vertical-align:-2px}
@media print{body{max-width:none;padding:0;font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.hint{display:none}.view{max-height:none;border:0;background:none}.view img{transform:none!important;height:auto}
section{break-inside:avoid}.plots{grid-template-columns:1fr 1fr}}
"""

SCRIPT = """
(()=>{const v=document.querySelector('.view'),i=v.querySelector('img');let s=1,x=0,y=0,d=null;
const put=()=>{i.style.transform=`translate(${x}px,${y}px) scale(${s})`};
const zoom=(f,cx,cy)=>{const n=Math.min(40,Math.max(1,s*f));x=cx-(cx-x)*n/s;y=cy-(cy-y)*n/s;s=n;if(s===1){x=0;y=0}put()};
v.addEventListener('wheel',e=>{e.preventDefault();const r=v.getBoundingClientRect();
zoom(e.deltaY<0?1.25:0.8,e.clientX-r.left,e.clientY-r.top)},{passive:false});
v.addEventListener('pointerdown',e=>{d=[e.clientX-x,e.clientY-y];v.setPointerCapture(e.pointerId)});
v.addEventListener('pointermove',e=>{if(d&&s>1){x=e.clientX-d[0];y=e.clientY-d[1];put()}});
v.addEventListener('pointerup',()=>{d=null});v.addEventListener('dblclick',()=>{s=1;x=0;y=0;put()});
v.addEventListener('keydown',e=>{const f={'+':1.25,'-':0.8}[e.key];if(f)zoom(f,v.clientWidth/2,v.clientHeight/2)});
addEventListener('beforeprint',()=>document.querySelectorAll('details').forEach(e=>{e.open=true}))})();
"""
