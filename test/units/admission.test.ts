import { expect, it } from '@jest/globals';
import { createAdmission } from '../../src/server/admission.ts';

/** A door with a clock that is moved by hand. */
function door() {
  let time = 0;
  const admission = createAdmission(() => time);
  const open: (() => void)[] = [];
  return {
    pass: (ms: number) => {
      time += ms;
    },
    enter: (count: number) => {
      for (let one = 0; one < count; one += 1) open.push(admission.enter());
    },
    leave: (count: number) => {
      for (const leave of open.splice(0, count)) leave();
    },
    isOpen: () => {
      try {
        admission.check();
        return true;
      } catch {
        return false;
      }
    },
  };
}

it('takes few requests however slow they are', () => {
  const { enter, pass, isOpen } = door();
  enter(63);
  pass(60_000);

  expect(isOpen()).toBe(true);
});

it('takes a burst, and no more of it than can be answered in a while', () => {
  const { enter, isOpen } = door();
  enter(255);
  expect(isOpen()).toBe(true);
  enter(1);
  expect(isOpen()).toBe(false);
});

it('takes more at once the more it answered in the last second', () => {
  const { enter, leave, pass, isOpen } = door();
  enter(2_000);
  pass(500);
  leave(2_000);
  pass(600);
  enter(100);
  leave(100);
  enter(350);

  expect(isOpen()).toBe(true);
  enter(200);
  expect(isOpen()).toBe(false);
});

it('has no patience with a crowd that stays, until it has been gone for a while', () => {
  const { enter, leave, pass, isOpen } = door();
  enter(120);
  expect(isOpen()).toBe(true);
  pass(900);
  expect(isOpen()).toBe(true);
  pass(200);
  expect(isOpen()).toBe(false);

  leave(60);
  expect(isOpen()).toBe(true);
  enter(60);
  expect(isOpen()).toBe(false);
  leave(120);
  pass(6_000);
  enter(120);
  expect(isOpen()).toBe(true);
});

it('has none either with many that wait for long', () => {
  const { enter, leave, pass, isOpen } = door();
  enter(70);
  pass(200);
  expect(isOpen()).toBe(true);
  pass(1_000);
  expect(isOpen()).toBe(false);
  leave(60);
  expect(isOpen()).toBe(true);
});

it('does not mind one that hangs among many that do not', () => {
  const { enter, pass, isOpen } = door();
  enter(1);
  pass(5_000);
  enter(80);
  pass(50);

  for (let time = 0; time < 3; time += 1) {
    expect(isOpen()).toBe(true);
    pass(10);
  }
});
