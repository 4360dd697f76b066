"""Right programs in the languages of which no set with solutions lies beside the project, and what they must print."""

from __future__ import annotations

from tracemill.code_task import Case

CASES = {
    "brackets": (  # "yes", or the place of the first bracket that is wrong, or how many there are where some stay open
        Case("([]{})\n", "yes\n"), Case("([)]\n", "2\n"), Case("((\n", "2\n"), Case("{}]\n", "2\n"), Case("[{}]()\n", "yes\n"),
    ),
    "paths": (  # the smallest sum on a way from the first corner to the last, to the right and down
        Case("2 3\n1 9 1\n1 1 1\n", "4\n"), Case("1 1\n7\n", "7\n"), Case("3 2\n1 5\n1 5\n9 2\n", "9\n"),
        Case("2 2\n1 2\n9 -4\n", "-1\n"),
    ),
}  # fmt: skip

PROGRAMS = {
    ("brackets", "typescript"): """
import * as fs from "fs";

type Opened = { mark: string; at: number };
const closes: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

function verdict(line: string): string {
  const open: Opened[] = [];
  for (let at = 0; at < line.length; at++) {
    const mark: string = line[at]!;
    if (mark in closes) {
      const last: Opened | undefined = open.pop();
      if (last === undefined || last.mark !== closes[mark]) {
        return String(at);
      }
    } else {
      open.push({ mark, at });
    }
  }
  return open.length === 0 ? "yes" : String(line.length);
}

console.log(verdict(fs.readFileSync(0, "utf8").trim()));
""",
    ("paths", "typescript"): """
declare function require(name: string): any;
const words: number[] = (require("fs").readFileSync(0, "utf8") as string).trim().split(/\\s+/).map(Number);
const [rows, columns] = words as [number, number];

interface Grid<T> { at(row: number, column: number): T }
const grid: Grid<number> = { at: (row, column) => words[2 + row * columns + column] as number };
const best: number[] = new Array<number>(columns).fill(Infinity);
for (let row = 0; row < rows; row++) {
  for (let column = 0; column < columns; column++) {
    const left = column > 0 ? best[column - 1]! : Infinity;
    const least: number = Math.min(left, best[column]!);
    best[column] = grid.at(row, column) + (row + column > 0 ? least : 0);
  }
}
console.log(best[columns - 1]);
""",
    ("brackets", "java"): """
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Scanner;

public class Main {
    private static final Map<Character, Character> CLOSES = Map.of(')', '(', ']', '[', '}', '{');

    static String verdict(String line) {
        Deque<Character> open = new ArrayDeque<>();
        for (int at = 0; at < line.length(); at++) {
            char mark = line.charAt(at);
            if (CLOSES.containsKey(mark)) {
                if (open.isEmpty() || open.pop() != CLOSES.get(mark)) {
                    return String.valueOf(at);
                }
            } else {
                open.push(mark);
            }
        }
        return open.isEmpty() ? "yes" : String.valueOf(line.length());
    }

    public static void main(String[] arguments) {
        System.out.println(verdict(new Scanner(System.in).nextLine().trim()));
    }
}
""",
    ("paths", "java"): """
import java.util.Arrays;
import java.util.Scanner;

public class Main {
    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in);
        int rows = in.nextInt();
        int columns = in.nextInt();
        long[] best = new long[columns];
        Arrays.fill(best, Long.MAX_VALUE);
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                long left = column > 0 ? best[column - 1] : Long.MAX_VALUE;
                long least = Math.min(left, best[column]);
                best[column] = in.nextInt() + (row + column > 0 ? least : 0);
            }
        }
        System.out.println(best[columns - 1]);
    }
}
""",
    ("brackets", "c"): r"""
#include <stdio.h>
#include <string.h>

static char opener(char mark) {
    switch (mark) {
    case ')': return '(';
    case ']': return '[';
    case '}': return '{';
    default: return 0;
    }
}

int main(void) {
    char line[1000], open[1000];
    int depth = 0;
    if (scanf("%999s", line) != 1) return 1;
    int length = (int)strlen(line);
    for (int at = 0; at < length; at++) {
        char wanted = opener(line[at]);
        if (!wanted) {
            open[depth] = line[at];
            depth += 1;
        } else {
            if (depth == 0 || open[depth - 1] != wanted) {
                printf("%d\n", at);
                return 0;
            }
            depth -= 1;
        }
    }
    if (depth == 0) puts("yes");
    else printf("%d\n", length);
    return 0;
}
""",
    ("paths", "c"): r"""
#include <limits.h>
#include <stdio.h>

int main(void) {
    int rows, columns, value;
    long best[100];
    if (scanf("%d %d", &rows, &columns) != 2) return 1;
    for (int i = 0; i < columns; i++) best[i] = LONG_MAX;
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            if (scanf("%d", &value) != 1) return 1;
            long least = best[column];
            if (column > 0 && best[column - 1] < least) least = best[column - 1];
            best[column] = value + (row + column > 0 ? least : 0);
        }
    }
    printf("%ld\n", best[columns - 1]);
    return 0;
}
""",
    ("brackets", "cpp"): r"""
#include <iostream>
#include <map>
#include <string>
#include <vector>

int main() {
    const std::map<char, char> closes{{')', '('}, {']', '['}, {'}', '{'}};
    std::string line;
    std::cin >> line;
    std::vector<char> open;
    for (std::size_t at = 0; at < line.size(); ++at) {
        auto found = closes.find(line[at]);
        if (found == closes.end()) {
            open.push_back(line[at]);
        } else {
            if (open.empty() || open.back() != found->second) {
                std::cout << at << '\n';
                return 0;
            }
            open.pop_back();
        }
    }
    if (open.size() == 0) std::cout << "yes\n";
    else std::cout << line.size() << '\n';
}
""",
    ("paths", "cpp"): r"""
#include <algorithm>
#include <iostream>
#include <limits>
#include <vector>

int main() {
    int rows, columns;
    std::cin >> rows >> columns;
    const long far = std::numeric_limits<long>::max();
    std::vector<long> best(columns, far);
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; ++column) {
            long value;
            std::cin >> value;
            long left = column > 0 ? best[column - 1] : far;
            long least = std::min(left, best[column]);
            best[column] = value + (row + column > 0 ? least : 0);
        }
    }
    std::cout << best[columns - 1] << std::endl;
}
""",
    ("brackets", "go"): r"""
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

var closes = map[rune]rune{')': '(', ']': '[', '}': '{'}

func verdict(line string) string {
	open := []rune{}
	for at, mark := range line {
		wanted, closing := closes[mark]
		if !closing {
			open = append(open, mark)
			continue
		}
		if len(open) == 0 || open[len(open)-1] != wanted {
			return fmt.Sprint(at)
		}
		open = open[:len(open)-1]
	}
	if len(open) == 0 {
		return "yes"
	}
	return fmt.Sprint(len(line))
}

func main() {
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println(verdict(strings.TrimSpace(line)))
}
""",
    ("paths", "go"): r"""
package main

import (
	"fmt"
	"math"
)

type number interface{ ~int | ~int64 }

func least[T number](a, b T) T {
	if a < b {
		return a
	}
	return b
}

func main() {
	var rows, columns int
	fmt.Scan(&rows, &columns)
	best := make([]int, columns)
	for i := range best {
		best[i] = math.MaxInt
	}
	for row := 0; row < rows; row++ {
		for column := 0; column < columns; column++ {
			var value int
			fmt.Scan(&value)
			before := best[column]
			if column > 0 {
				before = least(before, best[column-1])
			}
			if row+column == 0 {
				before = 0
			}
			best[column] = value + before
		}
	}
	fmt.Println(best[columns-1])
}
""",
    ("brackets", "rust"): r"""
use std::io;

fn opener(mark: char) -> Option<char> {
    match mark {
        ')' => Some('('),
        ']' => Some('['),
        '}' => Some('{'),
        _ => None,
    }
}

fn verdict(line: &str) -> Result<(), usize> {
    let mut open: Vec<char> = Vec::new();
    for (at, mark) in line.chars().enumerate() {
        match opener(mark) {
            None => open.push(mark),
            Some(wanted) => {
                if open.len() == 0 || open.pop() != Some(wanted) {
                    return Err(at);
                }
            }
        }
    }
    if open.len() == 0 { Ok(()) } else { Err(line.len()) }
}

fn main() {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    match verdict(line.trim()) {
        Ok(()) => println!("yes"),
        Err(at) => println!("{}", at),
    }
}
""",
    ("paths", "rust"): r"""
use std::io::{self, Read};

fn main() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    let mut words = text.split_whitespace().map(|word| word.parse::<i64>().unwrap());
    let rows = words.next().unwrap() as usize;
    let columns = words.next().unwrap() as usize;
    let mut best = vec![i64::MAX; columns];
    for row in 0..rows {
        for column in 0..columns {
            let left = if column > 0 { best[column - 1] } else { i64::MAX };
            let least = left.min(best[column]);
            let value = words.next().unwrap();
            best[column] = value + if row + column > 0 { least } else { 0 };
        }
    }
    println!("{}", best[columns - 1]);
}
""",
}

SHAPES = """
export type Shape = { kind: "circle"; r: number } | { kind: "box"; w: number; h: number };
export interface Named { name: string; shape?: Shape }

export function area(shape: Shape): number {
  switch (shape.kind) {
    case "circle":
      return 3 * shape.r * shape.r;
    case "box":
      return shape.w * shape.h;
  }
}

export const largest = (all: readonly Named[]): string | undefined => {
  let best: Named | undefined;
  for (const each of all) {
    if (each.shape && (!best || area(each.shape) > area(best.shape!))) best = each;
  }
  return best?.name;
};
"""
SHAPES_TESTS = """
import { deepStrictEqual, strictEqual } from "node:assert";
type Row = [given: Shape, wanted: number];
const rows: Row[] = [[{ kind: "circle", r: 2 }, 12], [{ kind: "box", w: 2, h: 5 }, 10]];
for (const [given, wanted] of rows) strictEqual(area(given), wanted);
deepStrictEqual(largest([{ name: "a", shape: rows[1]![0] }, { name: "b", shape: rows[0]![0] }, { name: "c" }]), "b");
strictEqual(largest([]), undefined);
"""
"""Tests in TypeScript that call functions of the answer by name."""
