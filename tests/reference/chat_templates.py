"""Fixture for datasets/src/instruction/template/tests.rs: what transformers' apply_chat_template makes of conversations.

    pip install transformers==4.57.6 jinja2==3.1.6
    python tests/reference/chat_templates.py        # writes tests/fixtures/chat.json

SmolLM2's template is the one in its tokenizer_config.json. The others are written here in the manner of their models:
they give the published formats with the constructs that those templates use (line breaks that trim_blocks removes,
filters, slices, raise_exception, namespaces, loop controls, Python's string methods, strftime_now, tojson).
"""

import datetime
import json
import pathlib

import transformers.utils.chat_template_utils as chat
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "chat.json"
NOW = datetime.datetime(2024, 7, 26, 9, 5, 3)

SMOLLM2 = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + \
message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}\
{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

# Dates, a namespace, tools, a mark of what is generated, strings' methods.
LLAMA31 = """{{- bos_token }}
{%- if tools is not none and tools is defined %}
    {{- tools | tojson(indent=4) }}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'].strip() %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- set ns = namespace(turns=0) %}
{%- for message in messages %}
    {%- if message.content is not string or not message.get('role') %}
        {%- continue %}
    {%- endif %}
    {%- set ns.turns = ns.turns + 1 %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}
            {{- message['content'] | trim + '<|eot_id|>' }}
        {%- endgeneration %}
    {%- else %}
        {{- message['content'].rstrip('!') + '!' * (loop.index0 % 2) ~ '<|eot_id|>' }}
    {%- endif %}
    {%- if ns.turns > 3 %}
        {%- break %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

QWEN2 = """{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}
{%- if loop.last == false or add_generation_prompt or message.role == 'assistant' %}
{{- '\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}"""

VICUNA = """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0]['content'] %}\
{% else %}{% set rest = messages %}{% set first = 'A chat between a curious user and an artificial intelligence \
assistant.' %}{% endif %}{{ bos_token }}{% for message in rest %}{% if (message['role'] == 'user') != \
(loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate: user, assistant, user, ...') }}{% endif %}\
{% if loop.index0 == 0 %}{{ first }}{% endif %}{% if message['role'] == 'user' %}{{ ' USER: ' + \
message['content'].strip() }}{% else %}{{ ' ASSISTANT: ' + message['content'].strip() + eos_token }}{% endif %}\
{% endfor %}{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}"""

# Every line of output ends with the line break in the template; those after tags are cut off.
ZEPHYR = """{% for message in messages %}
    {% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
    {% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
    {% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
    {% endif %}
    {# only at the end #}
    {% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
    {% endif %}
{% endfor %}
"""

MISTRAL = """{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == \
'assistant' %}{{ message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are \
supported!') }}{% endif %}{% endfor %}"""

# What Python and Jinja have beside all that.
PYTHON = """{%- macro show(x) -%}[{{ x }}]{%- endmacro -%}
{{ show(none) }}{{ show(true) }}{{ show(1 == 2) }}{{ show(undefined_name) }}{{ show(messages | length) }}
{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{% for message in messages[::-1] %}{{ loop.revindex }}{{ message.content[:3] | upper }}{{ message | tojson }}
{% endfor %}
{{ {'b': [1, 2.5, none, true], 'a': '<é> "&\\n', 'c': {}, 'd': []} | tojson }}
{{ {'b': [1, {'x': 'y'}], 'c': {}} | tojson(indent=2) }}
{% for part in messages[-1].content.split(' ') %}{{ part.capitalize() }}{{ part.startswith('A') }}{{ not loop.last }}|{% endfor %}
{{ messages[0].content.replace('e', 'é').title() }} {{ 'x' in messages[0]['content'] }} {{ messages[0].name is defined }}
{{ 'a' if messages else 'b' }}{{ [1, 2] + [3] }}{{ strftime_now('%Y-%m-%d %H:%M:%S %A %j') }}
"""

TEMPLATES = {
    "smollm2": SMOLLM2,
    "llama-3": LLAMA3,
    "llama-3.1": LLAMA31,
    "qwen2": QWEN2,
    "vicuna": VICUNA,
    "zephyr": ZEPHYR,
    "mistral": MISTRAL,
    "python": PYTHON,
}


def message(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [message("user", "What is it?")],
    [message("user", "What is it?"), message("assistant", "A red circle.")],
    [message("system", "Be brief."), message("user", "Hello!!"), message("assistant", "Hi")],
    [
        message("user", "  spaces \n around\t "),
        message("assistant", "\n\nlike   this "),
        message("user", "and 'quotes' \"too\" <b>&amp;</b> é 中文 \U0001f642\n"),
    ],
    [
        message("system", "You see pictures."),
        message("user", "<image>\nOne?"),
        message("assistant", "a circle"),
        message("user", "Two? <|im_end|> [INST]"),
        message("assistant", "A b Ab."),
        message("user", "three"),
    ],
    [message("user", "a"), message("user", "b")],
]


def main():
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return NOW

    chat.datetime = Clock
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    cases = []
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            for prompt in [False, True]:
                case = {"template": name, "messages": conversation, "prompt": prompt}
                try:
                    case["text"] = tokenizer.apply_chat_template(
                        conversation, chat_template=template, tokenize=False, add_generation_prompt=prompt
                    )
                except Exception as error:
                    case["error"] = str(error)
                cases.append(case)
    seconds = int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp())
    fixture = {"now": seconds, "templates": TEMPLATES, "cases": cases}
    OUT.write_text(json.dumps(fixture, ensure_ascii=False, indent=1) + "\n")
    print(len(cases), "cases,", sum("error" in case for case in cases), "refused")


main()
