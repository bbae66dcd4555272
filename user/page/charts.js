// What all charts of a page have in common: how numbers are written, colours in light and dark and on paper, and marks that
// the charts library does not have: whiskers, numbers beside bars, named lines.
'use strict';

Object.assign(report, (() => {
  const root = document.documentElement;

  // ---- numbers, as the program writes them

  const space = '\u00a0';
  function threeDigits(value) {
    return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
  }
  function time(ns) {
    if (ns === null || ns === undefined)
      return '–';
    const sign = ns <= -0.5 ? '−' : '';
    const size = Math.abs(ns);
    if (size < 999.5)
      return sign + size.toFixed(0) + space + 'ns';
    if (size < 999.5e3)
      return sign + threeDigits(size / 1e3) + space + 'µs';
    if (size < 999.5e6)
      return sign + threeDigits(size / 1e6) + space + 'ms';
    return sign + threeDigits(size / 1e9) + space + 's';
  }
  function change(ns) {
    return ns >= 0.5 ? '+' + time(ns) : time(ns);
  }
  // At an axis: no more digits than it takes.
  function tick(ns) {
    if (ns === 0)
      return '0';
    const [unit, name] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']].find(([least]) => Math.abs(ns) >= least) || [1, 'ns'];
    return String(Number((ns / unit).toPrecision(3))).replace('-', '−') + space + name;
  }
  function count(number) {
    return Math.round(number).toLocaleString('en');
  }
  function percent(ratio) {
    return (ratio * 100).toFixed(1) + space + '%';
  }

  // ---- colours

  function css(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }
  function colour(stage) {
    return css('--' + stage) || css('--total');
  }
  function series(index) {
    return css('--series-' + (index % 8 + 1));
  }
  // What is not known is hatched.
  function hatched(tint) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 8;
    const pen = tile.getContext('2d');
    pen.strokeStyle = tint;
    pen.lineWidth = 2;
    for (const shift of [-4, 4]) {
      pen.beginPath();
      pen.moveTo(shift - 2, 10);
      pen.lineTo(shift + 10, -2);
      pen.stroke();
    }
    return pen.createPattern(tile, 'repeat');
  }
  function faded(tint) {
    return tint.length === 7 ? tint + '66' : tint;
  }

  // ---- marks

  function write(pen, text, x, y, tint, align) {
    pen.fillStyle = tint;
    pen.textAlign = align;
    pen.textBaseline = 'middle';
    pen.fillText(text, x, y);
  }

  // dataset.whiskers: [low, high] for each bar, or null. dataset.marks: a value for each, drawn as a lozenge.
  const whiskers = {
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const pen = chart.ctx;
      const scale = chart.scales.x;
      chart.data.datasets.forEach((dataset, index) => {
        chart.getDatasetMeta(index).data.forEach((bar, i) => {
          const range = dataset.whiskers && dataset.whiskers[i];
          if (range) {
            const [low, high] = range.map(value => scale.getPixelForValue(value));
            pen.save();
            pen.strokeStyle = css('--ink');
            pen.lineWidth = 1.25;
            pen.beginPath();
            pen.moveTo(low, bar.y);
            pen.lineTo(high, bar.y);
            for (const end of [low, high]) {
              pen.moveTo(end, bar.y - 4);
              pen.lineTo(end, bar.y + 4);
            }
            pen.stroke();
            pen.restore();
          }
          const mark = dataset.marks && dataset.marks[i];
          if (mark !== null && mark !== undefined && mark !== false) {
            const x = scale.getPixelForValue(mark);
            pen.save();
            pen.fillStyle = css('--paper');
            pen.strokeStyle = css('--ink');
            pen.lineWidth = 1.25;
            pen.beginPath();
            pen.moveTo(x - 4.5, bar.y);
            pen.lineTo(x, bar.y - 4.5);
            pen.lineTo(x + 4.5, bar.y);
            pen.lineTo(x, bar.y + 4.5);
            pen.closePath();
            pen.fill();
            pen.stroke();
            pen.restore();
          }
        });
      });
    },
  };

  // dataset.numbers: a text for each bar, on that side of it where there is room.
  const numbers = {
    id: 'numbers',
    afterDatasetsDraw(chart) {
      const pen = chart.ctx;
      chart.data.datasets.forEach((dataset, index) => {
        if (!dataset.numbers)
          return;
        pen.save();
        pen.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
        chart.getDatasetMeta(index).data.forEach((bar, i) => {
          const text = dataset.numbers[i];
          if (!text)
            return;
          const range = dataset.whiskers && dataset.whiskers[i];
          const ends = [bar.x, bar.base].concat(range ? range.map(value => chart.scales.x.getPixelForValue(value)) : []);
          const right = Math.max(...ends) + 6;
          const width = pen.measureText(text).width;
          const left = Math.min(...ends) - 6;
          if (right + width <= chart.width || left - width < chart.chartArea.left)
            write(pen, text, Math.min(right, chart.width - width), bar.y, css('--muted'), 'left');
          else
            write(pen, text, left, bar.y, css('--muted'), 'right');
        });
        pen.restore();
      });
    },
  };

  // options.plugins.lines.at: {value, name} at the x axis, their names above the chart in as many rows as they need.
  const lines = {
    id: 'lines',
    afterDraw(chart, args, options) {
      const pen = chart.ctx;
      const area = chart.chartArea;
      const ends = []; // of the last name in each row
      const line = Chart.defaults.font.size + 3;
      const names = [];
      pen.save();
      pen.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
      pen.strokeStyle = css('--ink');
      pen.setLineDash([3, 3]);
      for (const {value, name} of [...(options.at || [])].sort((a, b) => a.value - b.value)) {
        const x = chart.scales.x.getPixelForValue(value);
        if (!(x >= area.left - 1 && x <= area.right + 1))
          continue;
        const width = pen.measureText(name).width;
        const left = Math.min(Math.max(x - width / 2, 0), chart.width - width);
        let row = ends.findIndex(end => left > end + 8);
        if (row < 0)
          row = ends.length;
        ends[row] = left + width;
        const y = area.top - 9 - row * line;
        names.push({name, left, width, y});
        pen.beginPath();
        pen.moveTo(x, y);
        pen.lineTo(x, area.bottom);
        pen.stroke();
      }
      // On a ground of their own, so that no line goes through a name.
      for (const {name, left, width, y} of names) {
        pen.fillStyle = css('--paper');
        pen.fillRect(left - 2, y - line / 2, width + 4, line);
        write(pen, name, left, y, css('--ink'), 'left');
      }
      pen.restore();
    },
  };

  // ---- charts

  const drawings = [];

  function redraw(drawing) {
    if (drawing.chart)
      drawing.chart.destroy();
    const made = drawing.make();
    drawing.canvas.parentElement.style.height = made.height + 'px';
    if (root.classList.contains('paper'))
      made.options.devicePixelRatio = 3;
    drawing.chart = new Chart(drawing.canvas, {plugins: [whiskers, numbers, lines], ...made});
  }
  function redrawAll() {
    const text = getComputedStyle(document.body);
    Object.assign(Chart.defaults, {animation: false, responsive: true, maintainAspectRatio: false, color: css('--muted'), borderColor: css('--grid')});
    Chart.defaults.font.family = text.fontFamily;
    Chart.defaults.font.size = 12;
    Chart.defaults.plugins.tooltip.displayColors = false;
    Chart.defaults.plugins.legend.position = 'bottom';
    Chart.defaults.plugins.legend.labels.boxWidth = 12;
    Chart.defaults.plugins.legend.labels.boxHeight = 12;
    drawings.forEach(redraw);
  }
  // `make` gives the library's configuration, and with it the height in pixels. It is asked again when colours change.
  function draw(id, make) {
    const canvas = document.getElementById(id);
    if (!canvas)
      return null;
    const drawing = {canvas, make, chart: null};
    drawings.push(drawing);
    return drawing;
  }

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawAll);
  // Paper is white, and narrower than a window.
  addEventListener('beforeprint', () => {
    root.classList.add('paper');
    redrawAll();
  });
  addEventListener('afterprint', () => {
    root.classList.remove('paper');
    redrawAll();
  });

  // ---- axes

  function timeAxis(title) {
    return {title: {display: true, text: title}, ticks: {callback: value => tick(value), maxRotation: 0, autoSkipPadding: 12}, beginAtZero: true};
  }
  // Names at 1, 2 and 5 of each power of ten, or at powers alone where there are many of them.
  function logAxis(title, least, most, write) {
    const decades = Math.log10(most / least);
    return {
      type: 'logarithmic',
      min: least,
      max: most,
      title: {display: true, text: title},
      ticks: {
        maxRotation: 0,
        autoSkipPadding: 8,
        callback(value) {
          const digit = Number((value / 10 ** Math.floor(Math.log10(value) + 1e-9)).toPrecision(6));
          const named = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 2, 3, 5, 7];
          return named.includes(digit) ? (write || tick)(value) : null;
        },
      },
    };
  }
  function rowAxis() {
    return {grid: {display: false}, ticks: {autoSkip: false}};
  }

  // ---- distributions

  // Buckets [low, high or null, count] as columns of equal width on a logarithmic axis: {low, high, count}.
  function columns(histogram) {
    const inDecade = 20;
    const place = ns => Math.log10(Math.max(ns, 0.5)) * inDecade;
    const all = new Map();
    for (const [low, high, count] of histogram) {
      const begin = place(low);
      const end = place(high === null ? low * 2 : high + 1);
      for (let column = Math.floor(begin); column < end; ++column) {
        const part = Math.min(end, column + 1) - Math.max(begin, column);
        if (part > 0)
          all.set(column, (all.get(column) || 0) + count * part / (end - begin));
      }
    }
    if (all.size === 0)
      return [];
    const found = [];
    for (let column = Math.min(...all.keys()); column <= Math.max(...all.keys()); ++column)
      found.push({low: 10 ** (column / inDecade), high: 10 ** ((column + 1) / inDecade), count: all.get(column) || 0});
    return found;
  }

  function histogramChart(distribution, tint, what) {
    const found = columns(distribution.histogram);
    const least = 0.8; // one packet is to be seen
    const points = found.map(column => ({x: column.low, y: Math.max(column.count, least), column}));
    if (points.length > 0)
      points.push({x: found[found.length - 1].high, y: least, column: null});
    const most = Math.max(2, ...found.map(column => column.count));
    const named = [['mean_ns', 'mean'], ['p50_ns', 'p50'], ['p90_ns', 'p90'], ['p99_ns', 'p99'], ['p999_ns', 'p99.9']]
      .filter(([key]) => distribution[key] !== null).map(([key, name]) => ({value: distribution[key], name: `${name} ${time(distribution[key])}`}));
    return {
      type: 'line',
      height: 300,
      data: {datasets: [{data: points, stepped: 'before', fill: 'start', pointRadius: 0, borderColor: tint, backgroundColor: faded(tint), borderWidth: 1.5}]},
      options: {
        layout: {padding: {top: 8 + 15 * (document.body.clientWidth < 640 ? named.length : 3)}},
        interaction: {mode: 'nearest', axis: 'x', intersect: false},
        scales: {
          x: logAxis('time', points.length ? points[0].x : 1, points.length ? points[points.length - 1].x : 10),
          y: logAxis(what, least, most * 1.6, count),
        },
        plugins: {
          legend: {display: false},
          lines: {at: named},
          tooltip: {
            callbacks: {
              title: items => items[0].raw.column ? `${time(items[0].raw.column.low)} to ${time(items[0].raw.column.high)}` : '',
              label: item => item.raw.column ? `about ${count(item.raw.column.count)} ${what}` : '',
            },
          },
        },
      },
    };
  }

  addEventListener('DOMContentLoaded', redrawAll);

  return {time, change, tick, count, percent, css, colour, series, hatched, faded, draw, redraw, timeAxis, logAxis, rowAxis, histogramChart};
})());
