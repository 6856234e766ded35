"""Classes, dictionaries, strings, numbers and generators: what scripts spend their time with."""
import re
import sys


class Account:
    def __init__(self, name, balance):
        self.name = name
        self.balance = balance
        self.history = []

    def move(self, amount, other):
        if self.balance < amount:
            return False
        self.balance -= amount
        other.balance += amount
        self.history.append((other.name, amount))
        return True


def accounts(rounds):
    people = [Account(f"person{i}", 1000 + i) for i in range(50)]
    state = 12345
    for _ in range(rounds):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        people[state % 50].move(state % 97, people[state // 50 % 50])
    return sum(person.balance * (i + 1) for i, person in enumerate(people)), len(people[7].history)


def words(rounds):
    text = " ".join(f"w{i * i % 211}x{i % 17}" for i in range(400))
    counts = {}
    for _ in range(rounds):
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
        text = re.sub(r"w(\d+)x", lambda found: f"w{int(found.group(1)) * 3 % 211}x", text)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]


def queens(size):
    def place(row, columns, left, right):
        if row == size:
            return 1
        return sum(
            place(row + 1, columns | {column}, left | {row - column}, right | {row + column})
            for column in range(size)
            if column not in columns and row - column not in left and row + column not in right
        )

    return place(0, frozenset(), frozenset(), frozenset())


def numbers(rounds):
    total = 0.0
    for i in range(1, rounds):
        total += (i % 7) / i
    return f"{total:.12f}", pow(3, rounds, 10**40)


for n in range(int(sys.argv[1])):
    print(accounts(3000), words(4), queens(5), numbers(8000 + n))
