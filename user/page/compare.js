// The charts of comparisons and of diffs.
'use strict';

(() => {
  const {result, time, change, percent, colour, css, draw} = report;
  const rowHeight = 24;

  function mean(values) {
    return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
  }

  // ---- stages of each mode, one upon another

  const sides = (result.samples || []).map(({label, rounds}) => ({
    label,
    stage: name => mean(rounds.map(round => round.stages[name] || 0)),
    has: name => rounds.some(round => name in round.stages),
    untraced: mean(rounds.map(round => round.untraced_rtt_mean_ns)),
    sum: mean(rounds.map(round => round.corrected_sum_ns)),
    rounds,
  }));
  // In the packet's order, as every difference has them.
  const stages = [...new Set(result.deltas.flatMap(delta => delta.stages.map(stage => stage.stage)))];

  draw('sides', () => {
    const used = stages.filter(name => sides.some(side => side.has(name)));
    const datasets = used.map(name => ({
      label: name,
      data: sides.map(side => side.has(name) ? side.stage(name) : null),
      backgroundColor: colour(name),
      borderColor: css('--paper'),
      borderWidth: {left: 0, right: 1},
      borderSkipped: false,
    }));
    datasets.push({
      label: 'unexplained',
      data: sides.map(side => Math.max(side.untraced - side.sum, 0)),
      backgroundColor: report.hatched(css('--unexplained')),
      marks: sides.map(side => side.untraced),
      numbers: sides.map(side => time(side.untraced)),
    });
    return {
      type: 'bar',
      height: sides.length * 46 + 150,
      data: {labels: sides.map(side => side.label), datasets},
      options: {
        indexAxis: 'y',
        layout: {padding: {right: 62}},
        scales: {x: {...report.timeAxis('mean of a transaction'), stacked: true}, y: {...report.rowAxis(), stacked: true}},
        plugins: {tooltip: {callbacks: {label: item => `${item.dataset.label} ${time(item.raw)}, ${percent(item.raw / sides[item.dataIndex].untraced)}`}}},
      },
    };
  });

  // ---- differences with their intervals

  result.deltas.forEach((delta, index) => draw('difference-' + index, () => {
    const rows = delta.stages.filter(stage => stage.mode_ns !== null || stage.against_ns !== null).map(stage => ({
      ...stage, name: stage.stage, tint: colour(stage.stage),
      certain: stage.ci95 !== null && stage.ci95[0] * stage.ci95[1] > 0 && (stage.adjusted_p === null || stage.adjusted_p < 0.05),
    }));
    rows.push({...delta.unexplained, name: 'unexplained', tint: report.hatched(css('--unexplained')), certain: true});
    rows.push({...delta.rtt, name: 'round trip', tint: css('--total'), certain: true});
    return {
      type: 'bar',
      height: rows.length * rowHeight + 60,
      data: {
        labels: rows.map(row => row.name),
        datasets: [{
          data: rows.map(row => row.delta_ns),
          backgroundColor: rows.map(row => row.certain ? row.tint : report.faded(row.tint)),
          whiskers: rows.map(row => row.ci95),
          numbers: rows.map(row => change(row.delta_ns)),
          barPercentage: 0.7,
          categoryPercentage: 1,
        }],
      },
      options: {
        indexAxis: 'y',
        layout: {padding: {right: 8}},
        scales: {
          x: {
            ...report.timeAxis('difference'),
            // Room for the whiskers and for the numbers beside them.
            suggestedMin: Math.min(0, ...rows.flatMap(row => row.ci95 || [row.delta_ns])) * 1.25,
            suggestedMax: Math.max(0, ...rows.flatMap(row => row.ci95 || [row.delta_ns])) * 1.25,
            grid: {color: context => context.tick.value === 0 ? css('--ink') : css('--grid')},
          },
          y: report.rowAxis(),
        },
        plugins: {
          legend: {display: false},
          tooltip: {callbacks: {label: item => {
            const row = rows[item.dataIndex];
            return row.ci95 ? [change(row.delta_ns), `${change(row.ci95[0])} to ${change(row.ci95[1])}`] : change(row.delta_ns);
          }}},
        },
      },
    };
  }));

  // ---- rounds, block by block

  draw('blocks', () => ({
    type: 'line',
    height: 280,
    data: {
      labels: sides.length ? sides[0].rounds.map((round, index) => index + 1) : [],
      datasets: sides.map((side, index) => ({
        label: side.label,
        data: side.rounds.map(round => round.untraced_rtt_mean_ns),
        borderColor: report.series(index),
        backgroundColor: report.series(index),
        pointStyle: ['circle', 'triangle', 'rect', 'rectRot', 'star', 'crossRot'][index % 6],
        radius: 4,
        borderWidth: 1.5,
      })),
    },
    options: {
      interaction: {mode: 'index', intersect: false},
      scales: {
        x: {title: {display: true, text: 'block'}, ticks: {maxRotation: 0}},
        y: {...report.timeAxis('untraced round trip'), beginAtZero: false},
      },
      plugins: {
        legend: {labels: {usePointStyle: true, boxHeight: 7}},
        tooltip: {callbacks: {title: items => `block ${items[0].label}`, label: item => `${item.dataset.label} ${time(item.raw)}`}},
      },
    },
  }));
})();
