// How many notches of a mouse wheel a wheel event is, at most one either way: a touchpad sends many small ones, some of
// them sideways.

const NOTCH = 100; // pixels
const LINE = NOTCH / 3; // Firefox counts in lines, three a notch

export function notches({ deltaY, deltaMode }) {
  const pixels = deltaMode ? deltaY * LINE : deltaY;
  return Math.max(-1, Math.min(1, pixels / NOTCH));
}
