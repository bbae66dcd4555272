// What every page has: its data, and a way to save them where they are as in a file of results.
'use strict';

const report = {result: JSON.parse(document.getElementById('result').textContent)};

document.documentElement.classList.add('has-scripts');
const save = document.getElementById('save');
if (save)
  save.addEventListener('click', () => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([JSON.stringify(report.result) + '\n'], {type: 'application/json'}));
    link.download = document.title.split(' · ')[0].replace(/[^\w.-]+/g, '-') + '.json';
    link.click();
    URL.revokeObjectURL(link.href);
  });
