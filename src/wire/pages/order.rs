//! Checkout's request and an order, as checkout and `GET orders/{id}` answer it and pages receive it.

use serde::{Deserialize, Deserializer, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, SessionId, UserId};
use crate::domain::order::OrderStatus;
use crate::wire::money::Money;
use crate::wire::pages::cart::Quote;

/// The customer of a checkout that names none.
pub const GUEST: &str = "guest";
/// Longest line of an address, and longest name of a payment method (the table's `varchar(50)`), in characters.
const ADDRESS_LINE_MAX: usize = 200;
const PAYMENT_METHOD_MAX: usize = 50;

/// `POST /checkout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutRequest {
    pub session_id: String,
    /// `guest` if it is null.
    #[serde(default)]
    #[ts(optional)]
    pub user_id: Option<String>,
    #[serde(default)]
    #[ts(optional)]
    pub shipping_address: Option<ShippingAddress>,
    #[serde(default)]
    #[ts(optional)]
    pub payment_method: Option<String>,
    /// Whether the order reaches the inventory by change data capture.
    #[serde(default, deserialize_with = "null_is_default")]
    #[ts(as = "Option<bool>", optional)]
    pub use_cdc: bool,
    /// If it is there and differs from the server's total, nothing is ordered.
    #[serde(default)]
    #[ts(optional)]
    pub expected_total: Option<Money>,
}

impl CheckoutRequest {
    /// Refuses what no table can hold.
    ///
    /// # Errors
    /// [`InvalidValue`] that names the field.
    pub fn check(&self) -> Result<(), InvalidValue> {
        SessionId::new(&self.session_id)?;
        if let Some(user_id) = &self.user_id {
            UserId::new(user_id)?;
        }
        if let Some(method) = &self.payment_method {
            check_line("paymentMethod", method, PAYMENT_METHOD_MAX)?;
        }
        self.shipping_address.as_ref().map_or(Ok(()), ShippingAddress::check)
    }
}

/// Where an order goes. Lines that are left out are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShippingAddress {
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(deserialize_with = "null_is_default")]
    pub street: String,
    #[serde(deserialize_with = "null_is_default")]
    pub city: String,
    #[serde(deserialize_with = "null_is_default")]
    pub state: String,
    #[serde(deserialize_with = "null_is_default")]
    pub zip_code: String,
    #[serde(deserialize_with = "null_is_default")]
    pub country: String,
}

impl ShippingAddress {
    fn check(&self) -> Result<(), InvalidValue> {
        let Self { name, street, city, state, zip_code, country } = self;
        let lines = [
            ("shippingAddress.name", name),
            ("shippingAddress.street", street),
            ("shippingAddress.city", city),
            ("shippingAddress.state", state),
            ("shippingAddress.zipCode", zip_code),
            ("shippingAddress.country", country),
        ];
        lines.into_iter().try_for_each(|(field, line)| check_line(field, line, ADDRESS_LINE_MAX))
    }
}

fn check_line(field: &'static str, line: &str, max: usize) -> Result<(), InvalidValue> {
    let chars = line.chars().count();
    if chars > max {
        return Err(InvalidValue::TooLong { field, chars, max });
    }
    if line.chars().any(char::is_control) {
        return Err(InvalidValue::ControlCharacter { field });
    }
    Ok(())
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(json: D) -> Result<T, D::Error> {
    Option::deserialize(json).map(Option::unwrap_or_default)
}

/// An order with its items and, once the inventory has answered, what each of them got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub order_id: String,
    pub user_id: String,
    pub session_id: String,
    pub items: Vec<OrderLine>,
    pub subtotal: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total_amount: Money,
    /// What is charged: the totals without what the inventory could not reserve. Items that it has not answered yet count in full.
    pub payable: Quote,
    #[ts(as = "OrderStatusName")]
    #[schema(value_type = OrderStatusName)]
    #[serde(with = "status_name")]
    pub status: OrderStatus,
    pub shipping_address: Option<ShippingAddress>,
    pub payment_info: Option<PaymentInfo>,
    pub created_at: EpochMs,
    pub updated_at: EpochMs,
    /// When this was written.
    pub timestamp: EpochMs,
    /// Whether it reaches the inventory by change data capture.
    pub use_cdc: bool,
    /// How far it has come: the steps that are known, in their order.
    #[serde(default)]
    pub timeline: Vec<TimelineStep>,
    /// Where the order's trace is shown; null unless spans are exported and `telemetry.trace_url` says where.
    #[serde(default)]
    pub trace_url: Option<String>,
}

/// One step of an order's way. Steps are timed by different clocks, so a step that seems to lie before the one it follows is
/// given that one's time: a difference is never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct TimelineStep {
    pub step: OrderStep,
    /// In epoch milliseconds; of the item that took it last.
    pub at: EpochMs,
    pub clock: StepClock,
}

/// The steps of an order's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStep {
    /// It is in the database.
    Placed,
    /// Every item is on `order-events`.
    Published,
    /// The inventory has answered every item.
    Applied,
    /// Every answer is in the database.
    Settled,
}

/// Which clock gave a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepClock {
    Database,
    Shop,
    Broker,
}

/// A line of an order. `allocated`, `shortfall` and `settledAt` are null until the inventory has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "OrderItem")]
#[schema(as = OrderItem)]
pub struct OrderLine {
    pub order_item_id: String,
    pub product_id: String,
    pub product_name: String,
    pub price: Money,
    pub quantity: i64,
    pub subtotal: Money,
    /// What of the subtotal is charged: that of the units that are reserved, and all of it until the inventory has answered.
    pub payable: Money,
    pub image_url: String,
    /// When the line came into the cart; the order's own time for an order that was not made of a cart.
    pub added_at: EpochMs,
    pub allocated: Option<i64>,
    pub shortfall: Option<i64>,
    /// When the answer was written down, by the database's clock.
    #[serde(default)]
    pub settled_at: Option<EpochMs>,
}

/// How an order is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentInfo {
    pub payment_method: String,
}

/// The names of [`OrderStatus`], for the generated types.
#[derive(Debug, Clone, Copy, Serialize, TS, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[ts(rename = "OrderStatus")]
#[schema(as = OrderStatus)]
pub enum OrderStatusName {
    Pending,
    Confirmed,
    Backordered,
    Rejected,
}

mod status_name {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::order::OrderStatus;

    pub(super) fn serialize<S: Serializer>(status: &OrderStatus, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<OrderStatus, D::Error> {
        let text = String::deserialize(json)?;
        OrderStatus::parse(&text).ok_or_else(|| D::Error::custom(format_args!("{text:?} is no order status")))
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests {
    use super::*;
    use crate::domain::money::Cents;

    pub(in crate::wire) fn order() -> Order {
        let money = |cents| Money::from(Cents::new(cents).unwrap());
        let line = OrderLine {
            order_item_id: "i-1".to_owned(),
            product_id: "MUG".to_owned(),
            product_name: "Mug".to_owned(),
            price: money(950),
            quantity: 2,
            subtotal: money(1900),
            payable: money(950),
            image_url: String::new(),
            added_at: 4,
            allocated: Some(1),
            shortfall: Some(1),
            settled_at: Some(2),
        };
        Order {
            order_id: "o-1".to_owned(),
            user_id: GUEST.to_owned(),
            session_id: "s-1".to_owned(),
            items: vec![
                OrderLine { payable: money(1900), allocated: None, shortfall: None, settled_at: None, ..line.clone() },
                line,
            ],
            subtotal: money(3800),
            tax: money(304),
            shipping: money(599),
            total_amount: money(4703),
            payable: Quote { subtotal: money(2850), tax: money(228), shipping: money(599), total_amount: money(3677) },
            status: OrderStatus::Backordered,
            shipping_address: None,
            payment_info: Some(PaymentInfo { payment_method: "CARD".to_owned() }),
            created_at: 1,
            updated_at: 2,
            timestamp: 3,
            use_cdc: false,
            timeline: vec![TimelineStep { step: OrderStep::Placed, at: 1, clock: StepClock::Database }],
            trace_url: None,
        }
    }

    #[test]
    fn an_order_is_written_as_the_contract_says_and_read_back() {
        let json = serde_json::to_string(&order()).unwrap();
        insta::assert_snapshot!(json, @r#"{"orderId":"o-1","userId":"guest","sessionId":"s-1","items":[{"orderItemId":"i-1","productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"payable":19.0,"imageUrl":"","addedAt":4,"allocated":null,"shortfall":null,"settledAt":null},{"orderItemId":"i-1","productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"payable":9.5,"imageUrl":"","addedAt":4,"allocated":1,"shortfall":1,"settledAt":2}],"subtotal":38.0,"tax":3.04,"shipping":5.99,"totalAmount":47.03,"payable":{"subtotal":28.5,"tax":2.28,"shipping":5.99,"totalAmount":36.77},"status":"BACKORDERED","shippingAddress":null,"paymentInfo":{"paymentMethod":"CARD"},"createdAt":1,"updatedAt":2,"timestamp":3,"useCdc":false,"timeline":[{"step":"placed","at":1,"clock":"database"}],"traceUrl":null}"#);
        assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order());
        assert!(serde_json::from_str::<Order>(&json.replace("BACKORDERED", "LOST")).is_err());
    }

    #[test]
    fn the_names_for_the_page_are_those_of_the_domain() {
        use OrderStatusName as Name;
        for (name, status) in [
            (Name::Pending, OrderStatus::Pending),
            (Name::Confirmed, OrderStatus::Confirmed),
            (Name::Backordered, OrderStatus::Backordered),
            (Name::Rejected, OrderStatus::Rejected),
        ] {
            assert_eq!(serde_json::to_value(name).unwrap(), status.as_str());
        }
    }

    #[test]
    fn checkout_takes_null_and_silence_alike() {
        let request = |json: &str| serde_json::from_str::<CheckoutRequest>(json);
        let least = request(r#"{"sessionId":"s-1"}"#).unwrap();
        let nulls =
            r#"{"sessionId":"s-1","userId":null,"shippingAddress":null,"paymentMethod":null,"useCdc":null,"expectedTotal":null}"#;
        assert_eq!(request(nulls).unwrap(), least);
        assert!(!least.use_cdc && least.check().is_ok());
        let full = request(r#"{"sessionId":"s-1","userId":"u","shippingAddress":{"name":"A","zipCode":null},"paymentMethod":"CARD","useCdc":true,"expectedTotal":47.03,"total":1}"#).unwrap();
        assert_eq!(full.shipping_address, Some(ShippingAddress { name: "A".to_owned(), ..ShippingAddress::default() }));
        assert_eq!(full.expected_total.map(Money::cents), Some(4703));
        for bad in [
            "{}",
            "[]",
            "null",
            r#"{"sessionId":1}"#,
            r#"{"sessionId":"s","useCdc":"yes"}"#,
            r#"{"sessionId":"s","sessionId":"t"}"#,
            r#"{"sessionId":"s","expectedTotal":-1}"#,
        ] {
            assert!(request(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_no_table_can_hold_is_refused_by_name() {
        let least = CheckoutRequest {
            session_id: "s-1".to_owned(),
            user_id: None,
            shipping_address: None,
            payment_method: None,
            use_cdc: false,
            expected_total: None,
        };
        let refused = |request: CheckoutRequest| request.check().unwrap_err().to_string();
        let address = ShippingAddress { street: "Elm\0 1".to_owned(), ..ShippingAddress::default() };
        assert_eq!(
            refused(CheckoutRequest { shipping_address: Some(address), ..least.clone() }),
            "shippingAddress.street contains a control character"
        );
        let long = Some("x".repeat(51));
        assert_eq!(
            refused(CheckoutRequest { payment_method: long.clone(), ..least.clone() }),
            "paymentMethod has 51 characters, at most 50 are accepted"
        );
        assert_eq!(
            refused(CheckoutRequest { user_id: long, ..least.clone() }),
            "userId has 51 characters, at most 50 are accepted"
        );
        assert_eq!(refused(CheckoutRequest { session_id: String::new(), ..least }), "sessionId is empty");
    }
}
