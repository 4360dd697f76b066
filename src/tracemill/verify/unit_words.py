"""Words that stand around numbers: names of units and scales in several languages, and what may come before a number."""

from __future__ import annotations

import re

UNIT_WORDS = {
    word: unit
    for unit, words in {
        "meter": "metre metres meters mètre mètres metro metros metri メートル 米 m",
        "kilometer": "kilometre kilometres kilometers kilomètre kilomètres kilómetro kilómetros chilometro chilometri "
        "キロメートル",
        "centimeter": "centimetre centimetres centimeters zentimeter centimètre centimètres centímetro centímetros centimetro "
        "centimetri センチメートル センチ",
        "millimeter": "millimetre millimetres millimeters millimètre millimètres milímetro milímetros millimetro "
        "millimetri ミリメートル",
        "gram": "grams gramm gramme grammes gramo gramos grammo grammi グラム",
        "kilogram": "kilograms kilogramm kilogramme kilogrammes kilogramo kilogramos chilogrammo chilogrammi kilo kilos キログラム",
        "liter": "litre litres liters litro litros litri リットル",
        "second": "seconds sec secs sekunde sekunden seconde secondes segundo segundos secondo secondi 秒",
        "minute": "minutes mins minuten minuto minutos minuti 分",
        "hour": "hours hrs hr stunde stunden std heure heures hora horas ora ore 時間",
        "day": "days tag tage jour jours día días giorno giorni 日",
        "week": "weeks woche wochen semaine semaines semana semanas settimana settimane 週間",
        "year": "years yr yrs jahr jahre an ans année années año años anno anni 年",
        "newton": "newtons ニュートン",
        "joule": "joules julio julios ジュール",
        "watt": "watts vatio vatios ワット",
        "volt": "volts voltio voltios ボルト",
        "ampere": "amperes amps amp ampère ampères amperio amperios アンペア",
        "ohm": "ohms ohmio ohmios オーム",
        "pascal": "pascals パスカル",
        "hertz": "ヘルツ",
        "mole": "moles mol mols モル",
        "kelvin": "kelvins ケルビン",
        "degree": "degrees grad degré degrés grado grados gradi 度",
        "radian": "radians rad radiant radianti radianes ラジアン",
        "foot": "feet ft",
        "inch": "inches",
        "mile": "miles",
        "km/hour": "kmh km/h kph",
        "mile/hour": "mph",
        "cm^3": "cc ccm",
    }.items()
    for word in words.split()
}
"""pint's name by word, in small letters."""

SCALES = {
    word: power
    for power, words in {
        3: "thousand thousands tausend mille mil mila",
        6: "million millions mio mio. millionen millón millones milione milioni",
        9: "billion billions milliarde milliarden mrd mrd. milliard milliards miliardo miliardi",
        12: "trillion trillions billionen",
        4: "万 萬",
        8: "億 亿",
    }.items()
    for word in words.split()
}
"""Powers of ten by word. "Billion" is English: in German, French and Spanish texts 10^12 is hardly ever written so."""

WORDS_BEFORE = re.compile(
    r"^\s*(?:(?:is|are|was|be|equal to|equals|about|around|approximately|approx\.?|roughly|nearly|almost|exactly|only"
    r"|etwa|ungefähr|circa|ca\.?|rund|genau|environ|à peu près|exactement|aproximadamente|unos|cerca de|exactamente"
    r"|circa|esattamente|約|およそ|大约|약)(?![^\W\d_])\s*|\\approx|\\simeq|\\sim|≈|~|=)+\s*",
    re.IGNORECASE,
)
"""What may stand before a number without changing it."""
