"""A stand-in for UCR and for UCS's mail templates, for tests: fake-ucr.py ROOT ACTION ...

It keeps UCR's layer files, checks values against description files, runs the
modules of registered .info files inside "set" and "unset", and renders
ROOT/etc/postfix/main.cf and master.cf from *.base as UCS does: the recipient
entries sorted by name and joined, options appended unquoted, *.local at the
end. Modules run before the files, which is the worse of UCR's random orders.
Listfilter and greylisting are whatever listens at fake/neighbour.
"""

import configparser
import importlib.util
import os
import re
import sys

ROOT, ACTION, ARGS = sys.argv[1], sys.argv[2], sys.argv[3:]
UCR = os.path.join(ROOT, "etc/univention")
POSTFIX = os.path.join(ROOT, "etc/postfix")
LAYERS = ["base-defaults", "base", "base-ldap", "base-schedule", "base-forced"]
OPTIONS = {"--force": "base-forced", "--ldap-policy": "base-ldap", "--schedule": "base-schedule"}
RECIPIENT = "mail/postfix/smtpd/restrictions/recipient/"
TRUE = ("yes", "true", "1", "enable", "enabled", "on")
FILES = {
    "/etc/postfix/main.cf": ("mail/postfix/(smtpd|policy|greylisting)", lambda: render_main()),
    "/etc/postfix/master.cf": ("mail/postfix/mastercf", lambda: render_master()),
}


def load(layer):
    try:
        lines = read(os.path.join(UCR, layer + ".conf")).split("\n")
    except FileNotFoundError:
        return {}
    pairs = [line.split(": ", 1) for line in lines if not line.startswith("#") and ": " in line]
    return {key: value.strip() for key, value in pairs}


def save(layer, values):
    lines = [f"{key}: {values[key]}" for key in sorted(values)]
    write(os.path.join(UCR, layer + ".conf"), "# univention_ base.conf\n\n" + "\n".join(lines))


def merged():
    values = {}
    for layer in LAYERS:
        values.update(load(layer))
    return values


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path + ".temp", "w", encoding="utf-8") as file:
        file.write(text)
    # Postfix's programs pause for a configuration that is younger than two seconds.
    os.utime(path + ".temp", (0, 0))
    os.rename(path + ".temp", path)


def render_main():
    values = merged()
    entries = [(key[len(RECIPIENT):], value) for key, value in values.items() if key.startswith(RECIPIENT)]
    if values.get("mail/postfix/policy/listfilter") in TRUE:
        entries.append(("05-listfilter", "check_policy_service " + values["fake/neighbour"]))
    if values.get("mail/postfix/greylisting") in TRUE:
        entries.append(("40-greylisting", "check_policy_service " + values["fake/neighbour"]))
    joined = ",\n        ".join(value for _, value in sorted(entries))
    text = read(os.path.join(POSTFIX, "main.cf.base"))
    finish("main.cf", text + "smtpd_recipient_restrictions = " + joined + "\n")


def render_master():
    values = merged()

    def options(match):
        prefix = f"mail/postfix/mastercf/options/{match.group(1)}/"
        named = sorted((key[len(prefix):], value) for key, value in values.items() if key.startswith(prefix))
        return "".join(f" -o {name}={value}" for name, value in named)

    finish("master.cf", re.sub(r" @(\w+)@", options, read(os.path.join(POSTFIX, "master.cf.base"))))


def finish(name, text):
    local = os.path.join(POSTFIX, name + ".local")
    write(os.path.join(POSTFIX, name), text + (read(local) if os.path.exists(local) else ""))


def modules():
    """(module, patterns) of every registered package."""
    registered = os.path.join(UCR, "registered")
    for package in sorted(os.listdir(registered) if os.path.isdir(registered) else []):
        for stanza in read(os.path.join(UCR, "templates/info", package + ".info")).split("\n\n"):
            fields = [line.split(": ", 1) for line in stanza.splitlines()]
            patterns = [value for key, value in fields if key == "Variables"]
            for name in (value for key, value in fields if key == "Module"):
                yield os.path.splitext(name)[0], patterns


def run_module(name, changes):
    print("Module:", name, flush=True)
    path = os.path.join(UCR, "templates/modules", name + ".py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MTPOLICYCTL = [os.path.join(ROOT, "usr/sbin/mtpolicyctl")]
    module.handler(None, changes)


def changed(changes):
    for name, patterns in modules():
        if any(re.match(pattern, key) for pattern in patterns for key in changes):
            run_module(name, changes)
    for file, (pattern, render) in FILES.items():
        if any(re.match(pattern, key) for key in changes):
            print("File:", file)
            render()


def fits(key, value):
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    directory = os.path.join(UCR, "registry.info/variables")
    parser.read(os.path.join(directory, name) for name in os.listdir(directory))
    names = [name for name in parser.sections() if re.fullmatch(name, key)]
    if not names:
        return True
    section = parser[max(names, key=len)]
    if section["Type"] == "str":
        return re.match(section.get("Regex", ""), value) is not None
    if section["Type"] == "bool":
        return value.lower() in TRUE + ("no", "false", "0", "disable", "disabled", "off")
    try:
        low, high = section.get("Min"), section.get("Max")
        return (low is None or int(value) >= int(low)) and (high is None or int(value) <= int(high))
    except ValueError:
        return False


def assign(args, layer):
    status, changes, values, before = 0, {}, load(layer), merged()
    for arg in args:
        key, value = arg.split("=", 1)
        if not fits(key, value):
            print(f"E: Value '{value}' incompatible for '{key}'", file=sys.stderr)
            status = 2
            continue
        print("Setting" if key in values else "Create", key)
        values[key] = value
        changes[key] = (before.get(key), value)
    save(layer, values)
    report(changes)
    return status


def remove(args, layer):
    values, before, changes = load(layer), merged(), {}
    for key in args:
        if key in values:
            print("Unsetting", key)
            changes[key] = (before.get(key), None)
            del values[key]
        else:
            print(f"W: The config registry variable '{key}' does not exist", file=sys.stderr)
    save(layer, values)
    report(changes)
    return 0


def report(changes):
    """A write that a higher layer hides runs no handler."""
    sys.stdout.flush()
    now = merged()
    changed({key: change for key, change in changes.items() if now.get(key) == change[1]})


def register(package):
    os.makedirs(os.path.join(UCR, "registered"), exist_ok=True)
    write(os.path.join(UCR, "registered", package), "")
    for name, patterns in modules():
        run_module(name, {pattern: None for pattern in patterns})


def main():
    layer = "base"
    while ARGS and ARGS[0].startswith("--"):
        layer = OPTIONS.get(ARGS.pop(0), layer)
    if ACTION == "set":
        return assign(ARGS, layer)
    if ACTION == "unset":
        return remove(ARGS, layer)
    if ACTION == "get":
        print(merged().get(ARGS[0], ""))
    elif ACTION == "commit":
        for file in ARGS or FILES:
            FILES[file][1]()
    elif ACTION == "register":
        register(ARGS[0])
    elif ACTION == "unregister":
        os.unlink(os.path.join(UCR, "registered", ARGS[0]))
    else:
        sys.exit(f"E: unknown action \"{ACTION}\"")
    return 0


sys.exit(main())
