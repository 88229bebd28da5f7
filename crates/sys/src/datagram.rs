//! A datagram, and the kernel's word on who has sent it.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

/// One datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes of the buffer it fills.
    pub bytes: usize,
    /// The buffer was large enough.
    pub is_whole: bool,
    /// Who has sent it; `None` where the kernel does not say, or where the process is in a PID namespace that cannot be
    /// seen from here, and so has no id (`pid_namespaces(7)`).
    pub sender: Option<Sender>,
}

/// A process that has sent something, and may have ended since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its process id.
    pub pid: NonZeroU32,
    /// Its user.
    pub uid: u32,
}

/// Room for the credentials and for nothing else: descriptors that come along are closed by the kernel (unix(7)).
#[repr(C, align(8))]
struct Control([u8; 32]);

// SAFETY: arithmetic, no memory.
const CREDENTIALS: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) } as usize;

const _: () = assert!(CREDENTIALS <= size_of::<Control>());

/// Receives the next datagram from a Unix socket that has `SO_PASSCRED` (unix(7)), without waiting for one.
///
/// # Errors
///
/// `WouldBlock` if there is none; what recvmsg(2) says otherwise.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a message header of zeros has no address, no buffers and no control data.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CREDENTIALS as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let bytes = loop {
        // SAFETY: the buffers are as long as the header says, and outlive the call.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        match usize::try_from(received) {
            Ok(bytes) => break bytes,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    };
    let is_whole = message.msg_flags & libc::MSG_TRUNC == 0;
    Ok(Datagram { bytes, is_whole, sender: sender(&message) })
}

fn sender(message: &libc::msghdr) -> Option<Sender> {
    // SAFETY: the kernel has written what the header says into the control buffer.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return None;
    }
    // SAFETY: it points to a whole header in the control buffer, which is aligned for it.
    let about = unsafe { ptr::read(header) };
    // SAFETY: arithmetic, no memory.
    let whole = unsafe { libc::CMSG_LEN(size_of::<libc::ucred>() as u32) } as usize;
    if (about.cmsg_level, about.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
        || (about.cmsg_len as usize) < whole
    {
        return None;
    }
    // SAFETY: behind a header there is its data.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: of these data there are as many as credentials have, which are three numbers.
    let credentials = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
    let pid = u32::try_from(credentials.pid).ok().and_then(NonZeroU32::new)?;
    Some(Sender { pid, uid: credentials.uid })
}
