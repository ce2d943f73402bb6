<?php
/**
 * A WordPress with WooCommerce for the lines of our document: as little of it as they call, of our own.
 *
 * Run as `php wordpress.php LINES` with a story as JSON on stdin; prints what came of it. Whatever PHP remarks on ends it.
 */

error_reporting( E_ALL );
set_error_handler( function ( $level, $message, $file, $line ) {
	fwrite( STDERR, "$message in line $line of $file\n" );
	exit( 1 );
} );

$story   = json_decode( stream_get_contents( STDIN ), true );
$hooks   = array();
$told    = array( 'scripts' => array(), 'announced' => array(), 'orders' => array(), 'coupons' => array(), 'shown' => array() );
$visitor = null;

function add_filter( $name, $callback, $priority = 10, $accepted = 1 ) {
	$GLOBALS['hooks'][ $name ][ $priority ][] = array( $callback, $accepted );
}

function add_action( $name, $callback, $priority = 10, $accepted = 1 ) {
	add_filter( $name, $callback, $priority, $accepted );
}

function apply_filters( $name, $value, ...$more ) {
	$known = $GLOBALS['hooks'][ $name ] ?? array();
	ksort( $known );
	foreach ( $known as $callbacks ) {
		foreach ( $callbacks as list( $callback, $accepted ) ) {
			$value = $callback( ...array_slice( array( $value, ...$more ), 0, $accepted ) );
		}
	}
	return $value;
}

function do_action( $name, ...$values ) {
	$known = $GLOBALS['hooks'][ $name ] ?? array();
	ksort( $known );
	foreach ( $known as $callbacks ) {
		foreach ( $callbacks as list( $callback, $accepted ) ) {
			$callback( ...array_slice( $values, 0, $accepted ) );
		}
	}
}

function wp_unslash( $value ) {
	return is_array( $value ) ? array_map( 'wp_unslash', $value ) : ( is_string( $value ) ? stripslashes( $value ) : $value );
}

// WordPress puts slashes into what a browser sends.
function with_slashes( $value ) {
	return is_array( $value ) ? array_map( 'with_slashes', $value ) : ( is_string( $value ) ? addslashes( $value ) : $value );
}

function wp_enqueue_script( $handle, $address, $needs, $version, $how ) {
	$GLOBALS['told']['scripts'][] = array( $handle, $address, $needs, $how );
}

function wc_get_order( $id ) {
	return is_string( $id ) && '' !== $id ? new Order( $id ) : false;
}

class Order {
	public $meta = array();
	private $status;

	public function __construct( $status = 'processing' ) {
		$this->status = $status;
	}

	public function has_status( $status ) {
		return $this->status === $status;
	}

	public function update_meta_data( $key, $value ) {
		$this->meta[ $key ] = $value;
	}
}

class StoreRequest {
	private $sent;

	public function __construct( $sent ) {
		$this->sent = $sent;
	}

	public function get_param( $name ) {
		return $this->sent[ $name ] ?? null;
	}
}

class Session {
	private $kept = array();
	private $has_cookie = false;

	public function has_session() {
		return $this->has_cookie;
	}

	public function set_customer_session_cookie( $set ) {
		$this->has_cookie = $set;
	}

	public function get( $key, $default = null ) {
		return $this->kept[ $key ] ?? $default;
	}

	public function set( $key, $value ) {
		$this->kept[ $key ] = $value;
	}

	// A visitor without the cookie begins anew with every request.
	public function end_request() {
		$this->kept = $this->has_cookie ? $this->kept : array();
	}
}

class Cart {
	public $count = 0;
	public $codes = array();

	public function is_empty() {
		return 0 === $this->count;
	}

	public function has_discount( $code ) {
		return in_array( strtolower( $code ), $this->codes, true );
	}

	public function apply_coupon( $code ) {
		if ( $this->has_discount( $code ) ) {
			$GLOBALS['told']['coupons'][] = 'twice';
		}
		$this->codes[] = strtolower( $code );
	}
}

class Visitor {
	public $session, $cart;
}

if ( 'none' !== $story['woocommerce'] ) {
	$visitor          = new Visitor();
	$visitor->session = new Session();
	$visitor->cart    = new Cart();

	function WC() {
		return $GLOBALS['visitor'];
	}
}

if ( 'new' === $story['woocommerce'] ) {
	function woocommerce_store_api_register_endpoint_data( $data ) {
		$GLOBALS['told']['announced'][] = array( $data['endpoint'], $data['namespace'], $data['schema_callback']() );
	}
}

require $argv[1];
do_action( 'init' );

foreach ( $story['steps'] as $step ) {
	$_GET  = with_slashes( $step['get'] ?? array() );
	$_POST = with_slashes( $step['post'] ?? array() );
	if ( ! empty( $step['cron'] ) ) { // a request without a visitor has neither session nor cart
		$visitor->session = $visitor->cart = null;
	}
	do_action( 'wp_loaded' );
	do_action( 'wp_enqueue_scripts' );
	if ( ! empty( $step['add'] ) ) {
		++$visitor->cart->count;
		do_action( 'woocommerce_add_to_cart', 'key', 1, 1 );
	}
	if ( isset( $step['post'] ) ) {
		$order = new Order();
		do_action( 'woocommerce_checkout_create_order', $order, array() );
		$told['orders'][] = (object) $order->meta;
	}
	if ( isset( $step['block'] ) ) {
		$order = new Order();
		do_action( 'woocommerce_store_api_checkout_update_order_from_request', $order, new StoreRequest( $step['block'] ) );
		$told['orders'][] = (object) $order->meta;
	}
	if ( isset( $step['placed'] ) ) { // the orders of which the page that confirms them is shown, by how they stand
		ob_start();
		foreach ( $step['placed'] as $status ) {
			do_action( 'woocommerce_thankyou', $status );
		}
		$told['shown'][] = ob_get_clean();
	}
	if ( $visitor && $visitor->session ) {
		$visitor->session->end_request();
	}
}

$told['coupons'] = array_merge( $told['coupons'], $visitor && $visitor->cart ? $visitor->cart->codes : array() );
$told['tags']    = array(
	apply_filters( 'script_loader_tag', '<script src="a.js"></script>', 'passalong' ),
	apply_filters( 'script_loader_tag', '<script src="b.js"></script>', 'other' ),
);
echo json_encode( $told );
