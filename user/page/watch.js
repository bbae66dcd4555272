// The charts of a time of watching.
'use strict';

(() => {
  const {result, time, count, colour, css, draw, redraw} = report;
  const points = result.points.map(point => ({...point, at: Date.parse(point.begun) + point.duration_ns / 2e6}));
  const stages = [...new Set(result.stages.map(stage => stage.stage))];
  const dashes = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

  function clock(ms) {
    return new Date(ms).toISOString().slice(11, 19);
  }
  // Named at full seconds, minutes or hours.
  function timeOfDay() {
    const last = points[points.length - 1];
    const begin = last ? Date.parse(points[0].begun) : 0;
    const end = last ? Date.parse(last.begun) + last.duration_ns / 1e6 : 1;
    const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
    const most = document.body.clientWidth < 640 ? 3 : 8;
    const step = (seconds.find(length => (end - begin) / 1e3 / length <= most) || 86400) * 1e3;
    return {
      type: 'linear',
      offset: false,
      min: begin,
      max: end,
      title: {display: true, text: 'time of day, UTC'},
      afterBuildTicks(axis) {
        axis.ticks = [];
        for (let at = Math.ceil(begin / step) * step; at <= end; at += step)
          axis.ticks.push({value: at});
      },
      ticks: {callback: value => clock(value), maxRotation: 0, autoSkipPadding: 12},
    };
  }

  // ---- stages over time

  const measure = document.getElementById('measure');
  function series(direction, stage, key) {
    return points.map(point => {
      const found = point.stages.find(one => one.direction === direction && one.stage === stage);
      if (!found)
        return {x: point.at, y: null};
      return {x: point.at, y: key === 'rate' ? found.packets / (point.duration_ns / 1e9) : found[key]};
    });
  }
  function timesChart(direction) {
    const key = measure.value;
    const used = result.stages.filter(stage => stage.direction === direction).map(stage => stage.stage);
    const datasets = used.map((stage, index) => ({
      label: stage,
      data: series(direction, stage, key),
      borderColor: colour(stage),
      backgroundColor: colour(stage),
      borderDash: dashes[index % dashes.length],
      borderWidth: 2,
      pointRadius: points.length > document.body.clientWidth / 30 ? 0 : 2.5,
      spanGaps: false,
    }));
    const values = datasets.flatMap(dataset => dataset.data.map(point => point.y)).filter(value => value > 0);
    const least = values.length ? Math.min(...values) : 1;
    const most = values.length ? Math.max(...values) : 10;
    const rates = key === 'rate';
    return {
      type: 'line',
      height: 320,
      data: {datasets},
      options: {
        layout: {padding: {right: 16}},
        interaction: {mode: 'index', intersect: false},
        scales: {
          x: timeOfDay(),
          y: report.logAxis(`${direction}, ${measure.options[measure.selectedIndex].text}`, least / 1.5, most * 1.5, rates ? count : undefined),
        },
        plugins: {
          legend: {labels: {usePointStyle: true, pointStyle: 'line', boxWidth: 28}},
          tooltip: {displayColors: true, callbacks: {
            title: items => clock(items[0].parsed.x) + ' UTC' + (points[items[0].dataIndex].windows > 1 ? `, ${points[items[0].dataIndex].windows} windows` : ''),
            label: item => `${item.dataset.label} ${rates ? count(item.parsed.y) + ' packets a second' : time(item.parsed.y)}`,
          }},
        },
      },
    };
  }
  const times = ['out', 'in'].map(direction => {
    const canvas = document.getElementById('times-' + direction);
    if (canvas && !result.stages.some(stage => stage.direction === direction)) {
      canvas.closest('figure').remove();
      return null;
    }
    return draw('times-' + direction, () => timesChart(direction));
  }).filter(drawing => drawing !== null);
  if (measure)
    measure.addEventListener('change', () => times.forEach(redraw));

  // ---- drops

  draw('drops-over-time', () => {
    const reasons = [...new Set(points.flatMap(point => Object.keys(point.drops)))];
    return {
      type: 'bar',
      height: 240,
      data: {
        datasets: reasons.map((reason, index) => ({label: reason, data: points.map(point => ({x: point.at, y: point.drops[reason] || 0})), backgroundColor: report.series(index)})),
      },
      options: {
        layout: {padding: {right: 16}},
        scales: {
          x: {...timeOfDay(), stacked: true},
          y: {stacked: true, beginAtZero: true, title: {display: true, text: 'packets dropped'}, ticks: {precision: 0}},
        },
        plugins: {tooltip: {displayColors: true, callbacks: {title: items => clock(items[0].parsed.x) + ' UTC', label: item => `${item.dataset.label} ${count(item.parsed.y)}`}}},
      },
    };
  });

  // ---- targets

  draw('busiest', () => {
    const seconds = Math.max(result.duration_ns / 1e9, 1e-9);
    const used = stages.filter(stage => result.targets.some(target => stage in target.stages));
    const short = name => name.length > 24 ? name.slice(0, 11) + '…' + name.slice(-12) : name || '(nobody’s)';
    const datasets = used.map(stage => ({
      label: stage,
      data: result.targets.map(target => stage in target.stages ? target.stages[stage] / seconds : null),
      backgroundColor: colour(stage),
      borderColor: css('--paper'),
      borderWidth: {left: 0, right: 1},
      borderSkipped: false,
    }));
    return {
      type: 'bar',
      height: result.targets.length * 30 + 130,
      data: {labels: result.targets.map(target => short(target.name)), datasets},
      options: {
        indexAxis: 'y',
        layout: {padding: {right: 16}},
        scales: {x: {...report.timeAxis('time of packets in a second'), stacked: true}, y: {...report.rowAxis(), stacked: true}},
        plugins: {tooltip: {callbacks: {
          title: items => result.targets[items[0].dataIndex].name,
          label: item => `${item.dataset.label} ${time(item.raw)} a second`,
        }}},
      },
    };
  });

  const which = document.getElementById('which');
  if (which) {
    result.stages.forEach((stage, index) => which.add(new Option(`${stage.direction} ${stage.stage}`, String(index))));
    const histogram = draw('histogram', () => {
      const stage = result.stages[Number(which.value)];
      return report.histogramChart(stage, colour(stage.stage), 'packets');
    });
    which.addEventListener('change', () => redraw(histogram));
  }
})();
