// The charts of a run, and of TCP_RR between two machines.
'use strict';

(() => {
  const {result, time, percent, colour, css, draw, redraw} = report;
  const hops = (result.hops || []).filter(hop => hop.count > 0 || !['segments', 'unforeseen'].includes(hop.stage))
    .map((hop, index) => ({...hop, name: `${index + 1} ${hop.stage}`}));
  const rowHeight = 22;

  function hopTitle(hop) {
    return hop.from === hop.to ? `${hop.to}, first to last segment` : `${hop.from} → ${hop.to}`;
  }

  // ---- the ledger

  draw('waterfall', () => {
    const transactions = Math.max(result.load.followed.transactions, 1);
    const rows = [];
    let end = 0;
    for (const hop of hops) {
      const mean = hop.sum_ns / transactions;
      rows.push({name: hop.name, title: hopTitle(hop), range: [end, end + mean], mean, tint: colour(hop.stage)});
      end += mean;
    }
    const ledger = result.ledger;
    rows.push({name: 'unexplained', title: 'what the hops leave of the round trip', range: [end, ledger.rtt_mean_ns].sort((a, b) => a - b),
      mean: ledger.unexplained_mean_ns, tint: report.hatched(css('--unexplained'))});
    rows.push({name: 'round trip', title: 'as the load measured it, while it was traced', range: [0, ledger.rtt_mean_ns], mean: ledger.rtt_mean_ns, tint: css('--total')});
    return {
      type: 'bar',
      height: rows.length * rowHeight + 80,
      data: {
        labels: rows.map(row => row.name),
        datasets: [{data: rows.map(row => row.range), backgroundColor: rows.map(row => row.tint), numbers: rows.map(row => time(row.mean)), barPercentage: 0.8, categoryPercentage: 1, minBarLength: 1}],
      },
      options: {
        indexAxis: 'y',
        layout: {padding: {top: 20, right: 62}},
        scales: {x: report.timeAxis('time since the client sent, means'), y: report.rowAxis()},
        plugins: {
          legend: {display: false},
          lines: {at: [{value: result.observer.untraced_rtt_mean_ns, name: `untraced ${time(result.observer.untraced_rtt_mean_ns)}`}]},
          tooltip: {callbacks: {
            title: items => rows[items[0].dataIndex].title,
            label: item => `${time(rows[item.dataIndex].mean)}, ${percent(rows[item.dataIndex].mean / ledger.rtt_mean_ns)} of the round trip`,
          }},
        },
      },
    };
  });

  // ---- distributions

  draw('spread', () => {
    const seen = hops.filter(hop => hop.count > 0);
    const least = Math.max(1, Math.min(...seen.map(hop => hop.min_ns)));
    const most = Math.max(10, ...seen.map(hop => hop.max_ns));
    const at = ns => Math.max(ns, least);
    return {
      type: 'bar',
      height: seen.length * rowHeight + 60,
      data: {
        labels: seen.map(hop => hop.name),
        datasets: [{
          // Without percentiles, because there are too few packets, only the extremes are known.
          data: seen.map(hop => hop.p50_ns === null ? null : [at(hop.p50_ns), at(hop.p99_ns === null ? hop.max_ns : hop.p99_ns)]),
          backgroundColor: seen.map(hop => colour(hop.stage)),
          whiskers: seen.map(hop => [at(hop.min_ns), at(hop.max_ns)]),
          marks: seen.map(hop => at(hop.mean_ns)),
          barPercentage: 0.75,
          categoryPercentage: 1,
          minBarLength: 2,
        }],
      },
      options: {
        indexAxis: 'y',
        layout: {padding: {right: 12}},
        scales: {x: report.logAxis('time', least * 0.9, most * 1.1), y: report.rowAxis()},
        onClick: (event, items) => items.length > 0 && choose(String(hops.indexOf(seen[items[0].index]) + 1)),
        plugins: {
          legend: {display: false},
          tooltip: {callbacks: {
            title: items => hopTitle(seen[items[0].dataIndex]),
            label: item => ['min', 'p50', 'p90', 'p99', 'p999', 'max'].map(key => [key === 'p999' ? 'p99.9' : key, seen[item.dataIndex][key + '_ns']])
              .concat([['mean', seen[item.dataIndex].mean_ns]]).filter(([, ns]) => ns !== null).map(([key, ns]) => `${key} ${time(ns)}`),
          }},
        },
      },
    };
  });

  const which = document.getElementById('which');
  function chosen() {
    const value = which ? which.value : 'rtt';
    if (value === 'rtt')
      return {distribution: result.load.rtt, tint: css('--total'), what: 'transactions'};
    if (value === 'wait' || value === 'run')
      return {distribution: result.softirq.net_rx[value], tint: css('--accent'), what: 'NET_RX runs'};
    const hop = hops[Number(value) - 1];
    return {distribution: hop, tint: colour(hop.stage), what: 'packets'};
  }
  const histogram = draw('histogram', () => {
    const {distribution, tint, what} = chosen();
    return report.histogramChart(distribution, tint, what);
  });
  function choose(value) {
    which.value = value;
    redraw(histogram);
    document.querySelectorAll('.hops .chosen').forEach(row => row.classList.remove('chosen'));
    const row = document.getElementById('hop-' + value);
    if (row)
      row.classList.add('chosen');
  }
  if (which)
    which.addEventListener('change', () => choose(which.value));
  // A hop of the picture shows its distribution.
  document.querySelectorAll('.way .hop').forEach(hop => hop.addEventListener('click', () => {
    choose(hop.dataset.hop);
    histogram.canvas.scrollIntoView({block: 'center'});
  }));

  // ---- softirq

  draw('contexts', () => {
    const context = result.softirq.net_rx.context;
    const transactions = Math.max(result.load.followed.transactions, 1);
    const names = {inline: 'inline', irq_exit: 'irq exit', ksoftirqd: 'ksoftirqd', other_cpu: 'another CPU', other: 'other'};
    return {
      type: 'bar',
      height: 130,
      data: {
        labels: ['NET_RX'],
        datasets: Object.keys(names).map((key, index) => ({
          label: `${names[key]} ${(context[key] / transactions).toFixed(2)}`,
          data: [context[key] / transactions],
          backgroundColor: key === 'other' ? report.hatched(css('--unexplained')) : report.series(index),
        })),
      },
      options: {
        indexAxis: 'y',
        scales: {x: {stacked: true, title: {display: true, text: 'runs a transaction'}, beginAtZero: true}, y: {...report.rowAxis(), stacked: true}},
        plugins: {tooltip: {callbacks: {title: () => '', label: item => item.dataset.label + ' a transaction'}}},
      },
    };
  });
})();
