"""All features, in one table.

Entities are columns of a block or pairs of them (`ip × campaign`); `all` is all traffic.
Windows slide; `last 8` are the entity's last eight views within 24 h of each other. What everybody
shares (campaigns, promoters, devices) counts as a share of all traffic, so that it depends neither
on the hour's volume nor on how long ago counting began.

Aggregates: `value`; `count`; `distinct X`; `seconds since` the last view, or the gap k views ago;
`duration` of the last k gaps; `least gap`, `mean gap` (log2 of seconds, the newest weighing
most), `spread of gaps` (standard deviation of log2), `entropy of gaps` (bits, of how they fall
into buckets of powers of two); `age` since the first view; `new share` of viewers seen for the
first time; `share of all` (log2); `excess of new` viewers over all traffic's; `part of X`; `lift of
X × Y` (log2 of how much more often they meet than by chance); `change of`, `spread of`, `repeats
of watch`.
"""

from typing import NamedTuple

from xxhash import xxh3_64_hexdigest


class Feature(NamedTuple):
    """A column of the model's input."""

    name: str
    entity: str
    window: str
    aggregate: str
    description: str


def features_of(table: str) -> tuple[Feature, ...]:
    """The features of a table, a line each, its cells apart by `|`."""
    lines = table.strip().splitlines()
    return tuple(Feature(*(cell.strip() for cell in line.split("|"))) for line in lines)


FEATURES = features_of("""
watch_s | view | - | value | time watched
watch_ratio | view | - | value | time watched per length of the video
visible_pct | view | - | value | visible share of the player
interactions | view | - | value | taps, seeks, unmutes
muted | view | - | value | sound was off
autoplay | view | - | value | started by itself
send_delay_s | view | - | value | from occurred_at to sent_at, both of the client's clock
clock_skew_s | view | - | value | from sent_at to received_at
local_hour | view | - | value | hour of the day where the viewer says to be
viewer_views_1m | viewer | 1 min | count | earlier views
viewer_views_10m | viewer | 10 min | count | earlier views
viewer_views_1h | viewer | 1 h | count | earlier views
viewer_views_24h | viewer | 24 h | count | earlier views
viewer_gap_s | viewer | last 1 | seconds since | the last view
viewer_gap_before_s | viewer | last 2 | seconds since | the gap before the last
viewer_took_4_s | viewer | last 4 | duration | how long the last four gaps took
viewer_took_8_s | viewer | last 8 | duration | how long the last eight gaps took
viewer_gap_mean | viewer | last 8 | mean gap | habitual pace
viewer_gap_least_s | viewer | last 8 | least gap | fastest two views in a row
viewer_gap_spread | viewer | last 8 | spread of gaps | clockwork is regular
viewer_gap_entropy | viewer | last 8 | entropy of gaps | bits, of powers of two: a timer has few
viewer_age_s | viewer | 24 h | age | since the viewer came
viewer_posts_24h | viewer | 24 h | distinct post | posts seen
viewer_campaigns_24h | viewer | 24 h | distinct campaign | campaigns seen
viewer_watch_change_s | viewer | last 1 | change of watch | this watch time to the last
viewer_watch_spread | viewer | last 4 | spread of watch | of log2 watch times
viewer_watch_repeats | viewer | last 4 | repeats of watch | the same watch time, to 16 ms
viewer_campaign_views_24h | viewer × campaign | 24 h | count | earlier views
viewer_campaign_gap_s | viewer × campaign | last 1 | seconds since | the last view
viewer_campaign_gap_least_s | viewer × campaign | last 4 | least gap | fastest two in a row
viewer_promoters_24h | viewer | 24 h | distinct promoter | promoters seen
viewer_promoter_views_24h | viewer × promoter | 24 h | count | earlier views
viewer_promoter_gap_s | viewer × promoter | last 1 | seconds since | the last view
viewer_post_views_24h | viewer × post | 24 h | count | duplicates: the same post again
viewer_post_gap_s | viewer × post | last 1 | seconds since | the last view
viewer_post_gap_least_s | viewer × post | last 4 | least gap | fastest two in a row
ip_views_1m | ip | 1 min | count | earlier views
ip_views_10m | ip | 10 min | count | earlier views
ip_views_24h | ip | 24 h | count | earlier views
ip_gap_s | ip | last 1 | seconds since | the last view
ip_took_4_s | ip | last 4 | duration | how long the last four gaps took
ip_gap_mean | ip | last 8 | mean gap | habitual pace
ip_gap_least_s | ip | last 8 | least gap | fastest two views in a row
ip_gap_spread | ip | last 8 | spread of gaps | clockwork is regular
ip_gap_entropy | ip | last 8 | entropy of gaps | bits, of powers of two: a timer has few
ip_age_s | ip | 24 h | age | since the address came
ip_campaigns_1h | ip | 1 h | distinct campaign | campaigns seen
ip_devices_1h | ip | 1 h | distinct device | devices behind the address
ip_new_share_24h | ip | 24 h | new share | viewers that come once (cookie resetting)
ip_viewer_part_10m | viewer | 10 min | part of ip | how much of the address is this viewer
ip_campaign_views_24h | ip × campaign | 24 h | count | earlier views
ip_campaign_gap_s | ip × campaign | last 1 | seconds since | the last view
ip_campaign_gap_least_s | ip × campaign | last 4 | least gap | fastest two in a row
ip_campaign_part_10m | ip × campaign | 10 min | part of ip | how much of the address it is
ip_promoter_views_24h | ip × promoter | 24 h | count | earlier views
ip_promoter_views_1h | ip × promoter | 1 h | count | earlier views
ip_promoter_gap_s | ip × promoter | last 1 | seconds since | the last view
ip_device_views_24h | ip × device | 24 h | count | earlier views
ip_device_gap_s | ip × device | last 1 | seconds since | the last view
prefix_views_24h | prefix | 24 h | count | earlier views of the network
prefix_viewers_1h | prefix | 1 h | distinct viewer | viewers in the network
prefix_promoter_part_1h | prefix × promoter | 1 h | part of promoter | a farm is in one network
prefix_promoter_new_1h | prefix × promoter | 1 h | new share | viewers that come once
agent_share_10m | user_agent | 10 min | share of all | how usual the user agent is
agent_new_10m | user_agent | 10 min | excess of new | its viewers that come once
campaign_share_10m | campaign | 10 min | share of all | volume of the campaign
campaign_new_10m | campaign | 10 min | excess of new | its viewers that come once
campaign_views_1m | campaign | 1 min | count | earlier views
campaign_gap_s | campaign | last 1 | seconds since | the last view
campaign_gap_mean | campaign | last 4 | mean gap | pace of the campaign
campaign_viewers_10m | campaign | 10 min | distinct viewer | viewers seen
campaign_promoters_1h | campaign | 1 h | distinct promoter | who sends
campaign_devices_1h | campaign | 1 h | distinct device | on what
promoter_share_10m | promoter | 10 min | share of all | volume of the promoter
promoter_new_10m | promoter | 10 min | excess of new | its viewers that come once
promoter_campaigns_1h | promoter | 1 h | distinct campaign | for whom
promoter_devices_1h | promoter | 1 h | distinct device | on what
post_share_10m | post | 10 min | share of all | volume of the post
post_new_10m | post | 10 min | excess of new | its viewers that come once
post_gap_s | post | last 1 | seconds since | the last view
post_gap_mean | post | last 4 | mean gap | pace of the post
post_part_of_campaign_10m | post | 10 min | part of campaign | how much of the campaign
post_part_of_promoter_10m | post | 10 min | part of promoter | how much of the promoter
post_lift_10m | post | 10 min | lift of campaign × promoter | more than the two would give
device_share_10m | device | 10 min | share of all | how usual the device is
device_new_10m | device | 10 min | excess of new | its viewers that come once
device_campaign_share_10m | device × campaign | 10 min | share of all | volume of the pair
device_campaign_part_10m | device × campaign | 10 min | part of campaign | a farm has few devices
device_campaign_lift_10m | device × campaign | 10 min | lift of device × campaign | over chance
device_promoter_share_10m | device × promoter | 10 min | share of all | volume of the pair
device_promoter_part_10m | device × promoter | 10 min | part of promoter | a farm has few devices
device_promoter_lift_10m | device × promoter | 10 min | lift of device × promoter | over chance
sequence_views_6h | sequence | 6 h | count | the same two watch times in a row (replayed)
""")

AHEAD = features_of("""
next_viewer_views_1m | viewer | 1 min | count | later views
next_viewer_views_10m | viewer | 10 min | count | later views
next_viewer_gap_s | viewer | last 1 | seconds since | until the next view
next_viewer_post_views_10m | viewer × post | 10 min | count | later views
next_viewer_post_gap_s | viewer × post | last 1 | seconds since | until the next view
next_viewer_campaign_views_10m | viewer × campaign | 10 min | count | later views
next_viewer_campaign_gap_s | viewer × campaign | last 1 | seconds since | until the next view
next_ip_views_1m | ip | 1 min | count | later views
next_ip_views_10m | ip | 10 min | count | later views
next_ip_gap_s | ip | last 1 | seconds since | until the next view
next_ip_campaign_views_10m | ip × campaign | 10 min | count | later views
next_ip_campaign_gap_s | ip × campaign | last 1 | seconds since | until the next view
next_campaign_share_10m | campaign | 10 min | share of all | volume of the campaign afterwards
""")
"""What settlement adds: the same engine over rows in reverse, on time that runs backwards."""


def of_the_view(feature: Feature) -> bool:
    """Whether it says something of the view itself rather than of when its entities were seen."""
    return feature.entity == "view" or feature.aggregate.endswith("watch")


def digest(features: tuple[Feature, ...] = FEATURES) -> str:
    """Changes when a feature is added, moved or said to mean something else."""
    return xxh3_64_hexdigest(repr(features).encode())
