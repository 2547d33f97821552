import { createCluster } from './cluster.ts';
import { loadSigners, transfer } from './cluster-load.ts';
import { encodeWith } from '#libs/kernel';
import { transactionBatch } from '#libs/ledger';
import { readFileSync } from 'node:fs';
const N = Number(process.argv[2] ?? 4), RATE=Number(process.argv[3] ?? 1000), SECS=Number(process.argv[4]??10);
const A = 2000;
const signers = loadSigners(A);
const c = await createCluster({ nodes: N, allocations: signers.map(s => ({account: s.account, amount: 10n**15n})), deltaUs: Number(process.env.DELTA ?? 50000), ...(process.env.PROF?{env:{NODE_OPTIONS:`--cpu-prof --cpu-prof-dir=${process.env.PROF}`}}:{}), ...(process.env.LOGS?{onLog:(n:number,t:string)=>void process.stderr.write(`[${n}] ${t}`)}:{}) });
const cpu=(pid:number)=>{const s=readFileSync(`/proc/${pid}/stat`,'utf8');const f=s.slice(s.lastIndexOf(')')+2).split(' ');return (Number(f[11])+Number(f[12]))/100;};
try {
await Promise.all(Array.from({length:N},(_, i)=>c.start(i)));
const total=RATE*SECS;
const batches: {body: Uint8Array, ids: string[], node:number}[]=[];
const per = Math.max(1,Math.floor(RATE/20/N));
let k=0; const nonces=new Array(A).fill(0);
// accounts sharded over nodes
for (let b=0; k<total; b++){ const node=b%N; const txs=[]; for(let i=0;i<per&&k<total;i++,k++){ let a=(Math.floor(b/N)*per+i)%Math.floor(A/N)*N+node; txs.push(transfer(c,signers[a]!,nonces[a]++,signers[(a+7)%A]!.account)); } batches.push({node,ids:txs.map(t=>t.id),body:encodeWith(transactionBatch,txs.map(t=>t.bytes))}); }
console.log('signed',total,'in',batches.length);
const sent=new Map<string,number>(); const lat:number[]=[]; let final=0, firstAt=0,lastAt=0, refused=0;
const ac=new AbortController();
const watch=(async()=>{ for await (const b of c.client(0).blocks(1,ac.signal)){ const now=performance.now(); const {readTransaction}=await import('#libs/ledger'); for(const t of b.block.transactions){const id=readTransaction(t).id; const s=sent.get(id); if(s!==undefined){lat.push(now-s);final++;lastAt=now;} } } })().catch(()=>{});
const cpu0=Array.from({length:N},(_,i)=>cpu(c.pid(i)!)); const me0=process.cpuUsage();
const t0=performance.now();
for (const [i,b] of batches.entries()){ const due=t0+i*(1000*SECS/batches.length); const d=due-performance.now(); if(d>0) await new Promise(r=>setTimeout(r,d)); const now=performance.now(); for(const id of b.ids) sent.set(id,now);
 void fetch(c.client(b.node).url+'/v1/transactions',{method:'POST',headers:{'content-type':'application/cbor'},body:b.body as any}).then(async r=>{const j:any=await r.json(); if(!j.transactions){console.log(j);return;} for(const t of j.transactions) if(!t.accepted){refused++; if(refused<3)console.log(JSON.stringify(t.error));}}); }
const sentSecs=(performance.now()-t0)/1000;
const lim=performance.now()+20000; while(final<total-refused&&performance.now()<lim) await new Promise(r=>setTimeout(r,100));
ac.abort();
const secs=(lastAt-t0)/1000; lat.sort((a,b)=>a-b);
const cpus=Array.from({length:N},(_,i)=>cpu(c.pid(i)!)-cpu0[i]!); const me=process.cpuUsage(me0);
console.log({total,final,refused,sentSecs:sentSecs.toFixed(1),secs:secs.toFixed(1),tps:Math.round(final/secs),p50:Math.round(lat[Math.floor(lat.length/2)]??0),p99:Math.round(lat[Math.floor(lat.length*.99)]??0),cpuNodes:cpus.map(x=>x.toFixed(1)).join(' '),cpuMe:((me.user+me.system)/1e6).toFixed(1), usPerTxPerNode: Math.round(cpus.reduce((a,b)=>a+b,0)/N/final*1e6)});
const rss=Array.from({length:N},(_,i)=>Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${c.pid(i)}/status`,'utf8'))![1])/1024)); console.log('rss MB',rss.join(' '));
const cpu1=Array.from({length:N},(_,i)=>cpu(c.pid(i)!)); await new Promise(r=>setTimeout(r,5000)); console.log('idle cpu %',Array.from({length:N},(_,i)=>((cpu(c.pid(i)!)-cpu1[i]!)/5*100).toFixed(1)).join(' '));
if(process.env.PROF) await Promise.all(Array.from({length:N},(_,i)=>c.kill(i,'SIGTERM')));
} finally { await c.stop(); }
