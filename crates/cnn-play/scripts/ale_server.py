"""Serves a game of the Arcade Learning Environment over standard input and output (pip install ale-py numpy).

Arguments: the name of the game (pong, breakout, ...) and a seed.
First:     a line of JSON: {"protocol": 1, "actions": ["NOOP", ...]}, the actions that the game has a use for.
Request:   a byte: 255 for a new game, else the number of an action.
Answer:    8 bytes (the reward as a little-endian float, flags, three zeros) and 84 x 84 gray pixels, row by row.
           Flags: 1 if the game is over, 2 if a life was lost.
The program ends when its standard input does.

Frames are those of Mnih et al. 2015: an action is repeated for 4 frames, the picture is the maximum of the last two, colour by
colour, then gray, then shrunk to 84 x 84. A new game begins with 1 to 30 frames without action.
"""
import json
import os
import random
import signal
import struct
import sys

# The learner has the processor's cores; and it alone decides what an interrupt does.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
signal.signal(signal.SIGINT, signal.SIG_IGN)

import ale_py
import ale_py.roms
import numpy as np

SIDE, REPEATED, NEW_GAME = 84, 4, 255
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def shrinking(length):
    """The matrix that brings a line of pixels to SIDE of them: each is the mean of the part of the line that it covers."""
    edges = np.linspace(0, length, SIDE + 1)
    pixels = np.arange(length)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(covered, 0) * SIDE / length).astype(np.float32)


class Game:
    def __init__(self, name, seed):
        rom = ale_py.roms.get_rom_path(name)
        if rom is None:
            sys.exit(f"ale-py has no game named {name}; there are {', '.join(ale_py.roms.get_all_rom_ids())}")
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self.ale.setInt("random_seed", seed)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(rom)
        self.actions = self.ale.getMinimalActionSet()
        self.random = random.Random(seed)
        height, width = self.ale.getScreenDims()
        self.screens = np.zeros((2, height, width, 3), np.uint8)
        self.rows, self.columns = shrinking(height), shrinking(width).T.copy()

    def begin(self):
        self.ale.reset_game()
        for _ in range(self.random.randint(1, 30)):
            self.ale.act(ale_py.Action.NOOP)
            if self.ale.game_over():
                self.ale.reset_game()
        self.ale.getScreenRGB(self.screens[0])
        self.screens[1] = self.screens[0]
        return 0.0, 0

    def step(self, action):
        lives, reward = self.ale.lives(), 0.0
        for frame in range(REPEATED):
            reward += self.ale.act(action)
            over = self.ale.game_over()
            if frame >= REPEATED - 2 or over:
                self.ale.getScreenRGB(self.screens[frame % 2])
            if over:
                break
        return reward, int(over) + 2 * int(self.ale.lives() < lives)

    def picture(self):
        gray = self.screens.max(0).astype(np.float32) @ LUMINANCE
        return (self.rows @ gray @ self.columns + 0.5).astype(np.uint8)


def main():
    game = Game(sys.argv[1], int(sys.argv[2]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write((json.dumps({"protocol": 1, "actions": [action.name for action in game.actions]}) + "\n").encode())
    answers.flush()
    while request := requests.read(1):
        number = request[0]
        reward, flags = game.begin() if number == NEW_GAME else game.step(game.actions[number])
        answers.write(struct.pack("<fB3x", reward, flags))
        answers.write(game.picture().tobytes())
        answers.flush()


main()
