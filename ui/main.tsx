import { render } from 'preact';
import { App } from './app.tsx';
import { startLink } from './state/link.ts';
import './styles/main.css';

const root = document.getElementById('app');
if (root) {
  render(<App />, root);
  startLink();
}
