"""The list of all shapes of tales; a new shape becomes part of the corpus by its entry here."""

from __future__ import annotations

from collections.abc import Callable

from engine.catalogue.tales import shapes_fields as fields
from engine.catalogue.tales import shapes_heart as heart
from engine.catalogue.tales import shapes_home as home
from engine.catalogue.tales import shapes_lost as lost
from engine.catalogue.tales import shapes_road as road
from engine.catalogue.tales import shapes_sea as sea
from engine.catalogue.tales import shapes_short as short
from engine.catalogue.tales import shapes_small as small
from engine.catalogue.tales import shapes_wild as wild
from engine.catalogue.tales import shapes_wits as wits
from engine.catalogue.tales.grammar import Teller

Shape = Callable[[Teller], str]

SHAPES: tuple[Shape, ...] = (
    lost.lost_and_found,
    lost.borrowed_coat,
    lost.gift_returned,
    lost.letter_late,
    lost.promise_kept,
    lost.last_piece,
    lost.useless_key,
    lost.lantern_passed_on,
    home.stubborn_neighbours,
    home.bell_would_not_ring,
    home.squeaky_gate,
    home.late_clock,
    home.quilt_of_patches,
    home.small_pot,
    home.fair_share,
    home.forgotten_birthday,
    wild.helped_animal_returns,
    wild.storm_and_shelter,
    wild.brave_small_one,
    wild.echo_friend,
    wild.seed_and_season,
    fields.first_snow,
    fields.forgotten_nuts,
    fields.moon_in_the_pond,
    fields.fear_of_a_shadow,
    fields.bird_who_stayed,
    fields.night_watch_of_frogs,
    fields.snail_with_news,
    road.wrong_map,
    road.turned_signpost,
    road.riddle_gate,
    road.trade_chain,
    road.fare_for_the_ferry,
    road.narrow_bridge,
    road.race_to_the_tree,
    wits.trick_backfires,
    wits.lie_uncovered,
    wits.wish_with_price,
    wits.judge_and_the_goose,
    wits.boaster_on_watch,
    wits.garden_thief,
    wits.obedient_whistle,
    wits.deal_with_winter,
    wits.bag_of_sunshine,
    sea.lighthouse_and_guest,
    sea.message_in_a_bottle,
    sea.net_with_a_hole,
    sea.island_that_moved,
    sea.shell_in_the_hills,
    sea.sand_castle,
    heart.half_a_song,
    heart.stranger_and_bread,
    heart.name_for_a_foal,
    heart.one_string_left,
    heart.star_counter,
    heart.scarecrow_and_crows,
    heart.house_of_day_and_night,
    heart.new_shoes,
    small.royal_hiccups,
    small.queue_for_nothing,
    small.travelling_yawn,
    small.lost_word,
    small.salt_in_the_soup,
    small.last_leaf,
    small.wrong_button,
    small.peas_in_the_snow,
    small.snowman_in_july,
    small.guest_who_stayed,
    small.henhouse_afloat,
    small.goat_ate_it,
    short.two_umbrellas,
    short.polite_wolf,
    short.needle_in_the_hay,
    short.weathercock,
    short.bear_wakes_early,
    short.pocket_full_of_wind,
    short.bench_for_three,
    short.painted_door,
    short.cat_and_mouse_treaty,
    short.cloud_and_puddle,
    short.heavy_basket,
    short.smallest_parade,
    short.snoring_contest,
    short.apple_that_waited,
)
