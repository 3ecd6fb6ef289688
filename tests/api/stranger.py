#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user without rights gets: how many images there are, and the names of the errors of two changes."""

import bus
import contract
import options


def main():
    root = bus.Bus(contract.Contract(options.OPTIONS)).root
    print(len(root.call("Manager.ListImages")))
    for member, arguments in (("Manager.CreateNamespace", ("mine", {})), ("Manager.PullImage", ("x",))):
        try:
            root.call(member, *arguments)
            print("done")
        except bus.Refused as refusal:
            print(refusal.name)


main()
