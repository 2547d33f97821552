import { createCluster } from './cluster.ts';
import { loadSigners } from './cluster-load.ts';
import { readFileSync } from 'node:fs';
const cpu=(pid:number)=>{const s=readFileSync(`/proc/${pid}/stat`,'utf8');const f=s.slice(s.lastIndexOf(')')+2).split(' ');return (Number(f[11])+Number(f[12]))/100;};
const c = await createCluster({ nodes: 4, allocations: loadSigners(2).map(s => ({account: s.account, amount: 10n**15n})), ...(process.env.PROF?{env:{NODE_OPTIONS:`--cpu-prof --cpu-prof-dir=${process.env.PROF}`}}:{}) });
try { await Promise.all([0,1,2,3].map(i=>c.start(i))); await new Promise(r=>setTimeout(r,3000)); const a=[0,1,2,3].map(i=>cpu(c.pid(i)!)); await new Promise(r=>setTimeout(r,8000)); console.log('idle %', [0,1,2,3].map(i=>((cpu(c.pid(i)!)-a[i]!)/8*100).toFixed(1)).join(' '), 'rss', [0,1,2,3].map(i=>Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${c.pid(i)}/status`,'utf8'))![1])/1024)).join(' '));
 if(process.env.PROF) await Promise.all([0,1,2,3].map(i=>c.kill(i,'SIGTERM')));
} finally { await c.stop(); }
