;;; omnirt.el --- Talk with voice agents through omnirt  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: comm, multimedia

;;; Commentary:

;; M-x omnirt-talk starts the daemon `omnirt serve' and a talk with an agent,
;; whose transcript grows in a buffer.  The daemon is spoken to by the
;; built-in jsonrpc.el.  docs/EDITORS.md of omnirt tells the rest.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'omnirt-calls)
(require 'omnirt-transcript)

(defcustom omnirt-command '("omnirt" "serve")
  "The daemon, with its arguments."
  :type '(repeat string)
  :group 'omnirt)

(defcustom omnirt-agent "editor"
  "The agent of a talk unless another is asked for: a name, or a spec as plist."
  :type '(choice string plist)
  :group 'omnirt)

(defcustom omnirt-devices nil
  "Plist of devices (:input, :output) with which the daemon records and plays.
Without any the talk is in writing."
  :type '(choice (const nil) plist)
  :group 'omnirt)

(defcustom omnirt-session nil
  "Plist of more members of session.start, such as :settings or :realtime."
  :type '(choice (const nil) plist)
  :group 'omnirt)

(defvar omnirt--daemon nil
  "The connection to the daemon that talks share.")
(defvar omnirt--used nil
  "The transcripts, the one that was used last first.")
(defvar omnirt--count 0
  "How many talks there were.")
(defvar omnirt--process nil
  "Its process.")
(defvar-local omnirt--session-id nil
  "The session of this transcript.")
(defvar-local omnirt--connection nil
  "The connection of this transcript.")

;;;; The connection

(defclass omnirt-connection (jsonrpc-process-connection) ()
  "A connection on which a call of the daemon may be answered later.")

(cl-defmethod jsonrpc-connection-send :around
  ((_connection omnirt-connection) &rest message)
  "Send MESSAGE, unless its result is a function: that will answer later.
What a dispatcher returns is sent at once, and it runs while a message is
being read, when nobody can be asked anything."
  (let ((result (plist-get message :result)))
    (if (functionp result)
        (run-at-time 0 nil result (plist-get message :id))
      (cl-call-next-method))))

(defun omnirt--connect ()
  "Give the connection to the daemon, which is started if need be."
  (unless (and omnirt--daemon (jsonrpc-running-p omnirt--daemon))
    (setq omnirt--daemon
          (apply #'make-instance 'omnirt-connection
                 :name "omnirt"
                 :process #'omnirt--start-process
                 :request-dispatcher #'omnirt-calls-dispatch
                 :notification-dispatcher #'omnirt--told
                 :on-shutdown #'omnirt--gone
                 ;; no log of all messages
                 (if (< emacs-major-version 30)
                     '(:events-buffer-scrollback-size 0)
                   '(:events-buffer-config (:size 0)))))
    (jsonrpc-async-request
     omnirt--daemon :initialize
     `(:clientInfo (:name "omnirt.el") :processId ,(emacs-pid)
       :capabilities (:tools t :approvals t)
       ;; Nothing here plays audio: that is what `omnirt-devices' is for.
       :optOutNotifications
       ["realtime.audio" "realtime.audioEnd" "realtime.usage"])))
  omnirt--daemon)

(defun omnirt--start-process ()
  "Start the daemon."
  (setq omnirt--process
        (make-process :name "omnirt" :command omnirt-command
                      :connection-type 'pipe :coding 'utf-8-emacs-unix
                      :noquery t
                      ;; jsonrpc.el knows the buffer by this name.
                      :stderr (get-buffer-create "*omnirt stderr*"))))

(defun omnirt--ask (method &rest params)
  "Ask METHOD with PARAMS of the session of the current transcript."
  (omnirt--ask-then #'ignore method params))

(defun omnirt--ask-then (done method params)
  "Call DONE when METHOD with PARAMS was carried out for the current transcript.
An error is shown there instead; one of a start ends the talk."
  (let ((buffer (current-buffer)))
    (jsonrpc-async-request
     omnirt--connection method
     (omnirt-calls-clean `(:sessionId ,omnirt--session-id ,@params))
     :timeout nil                       ; every request is answered
     :success-fn (lambda (_)
                   (when (buffer-live-p buffer)
                     (with-current-buffer buffer (funcall done))))
     :error-fn
     (jsonrpc-lambda (&key code message &allow-other-keys)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (unless (or omnirt-transcript-over
                       (eql code -1))   ; it died: `omnirt--gone' tells
             (omnirt-transcript-note "! %s" message)
             (when (eq method :session.start)
               (omnirt-transcript-finish "it could not be started")))))))))

(defun omnirt--transcripts ()
  "All transcripts."
  (seq-filter (lambda (buffer) (buffer-local-value 'omnirt--session-id buffer))
              (buffer-list)))

(defun omnirt--told (_connection method params)
  "Take the notification METHOD with PARAMS."
  (with-demoted-errors "omnirt: %S"     ; the messages after it are read as well
    (pcase method
      ('log.message (message "omnirt: %s" (plist-get params :message)))
      ('$/cancelRequest
       (omnirt-calls-withdraw (plist-get params :id)))
      (_ (when-let ((buffer (seq-find
                             (lambda (buffer)
                               (equal (plist-get params :sessionId)
                                      (buffer-local-value 'omnirt--session-id
                                                          buffer)))
                             (omnirt--transcripts))))
           (with-current-buffer buffer
             (omnirt-transcript-tell method params)))))))

(defun omnirt--gone (connection)
  "Tell the talks of CONNECTION that its daemon is dead."
  (dolist (buffer (omnirt--transcripts))
    (with-current-buffer buffer
      (when (and (eq connection omnirt--connection) (not omnirt-transcript-over))
        (let ((log (with-current-buffer (jsonrpc-stderr-buffer connection)
                     (string-trim (buffer-string)))))
          (omnirt-transcript-note
           "! The daemon ended%s"
           (if (string-empty-p log) ""
             (concat ": " (car (last (split-string log "\n")))))))
        (omnirt-transcript-finish "the daemon is gone")))))

;;;; Commands

(defun omnirt--current ()
  "The transcript that a command means: this one, else the latest not over."
  (when (and omnirt--session-id omnirt-transcript-over)
    (user-error "This talk is over; M-x omnirt-talk begins one"))
  (omnirt--use
   (or (and omnirt--session-id (current-buffer))
       (seq-find (lambda (buffer)
                   (and (buffer-live-p buffer)
                        (not (buffer-local-value 'omnirt-transcript-over buffer))))
                 omnirt--used)
       (user-error "There is no talk; M-x omnirt-talk begins one"))))

(defun omnirt--use (buffer)
  "Remember that the transcript BUFFER is used; gives it."
  (setq omnirt--used
        (cons buffer (delq buffer (seq-filter #'buffer-live-p omnirt--used))))
  buffer)

;;;###autoload
(defun omnirt-talk (&optional agent)
  "Start a talk with AGENT; with a prefix argument ask for its name.
Gives the buffer of the transcript."
  (interactive (list (and current-prefix-arg (read-string "Agent: "))))
  (let* ((connection (omnirt--connect))
         (id (format "emacs-%s-%d-%d" (format-time-string "%Y%m%dT%H%M%SZ" nil t)
                     (emacs-pid) (cl-incf omnirt--count)))
         (buffer (generate-new-buffer "*omnirt*")))
    (with-current-buffer buffer
      (omnirt-mode)
      (setq omnirt--session-id id
            omnirt--connection connection)
      (omnirt--use buffer)
      (add-hook 'kill-buffer-hook #'omnirt--end nil t)
      (omnirt-transcript-state "starting")
      (apply #'omnirt--ask :session.start
             :agent (or agent omnirt-agent)
             `(,@(and omnirt-devices (list :devices omnirt-devices))
               ,@(unless (or omnirt-devices
                             (plist-member omnirt-session :realtime))
                   '(:realtime (:modalities ["text"])))
               ,@omnirt-session)))
    (display-buffer buffer)
    buffer))

(defun omnirt-say (text)
  "Write TEXT to the agent."
  (interactive "sSay: ")
  (with-current-buffer (omnirt--current)
    (omnirt--ask :session.sendText :text text)))

(defun omnirt-send (beg end &optional question)
  "Show the text from BEG to END to the agent, and ask QUESTION about it."
  (interactive "r\nsQuestion (or nothing): ")
  (let* ((place (format "%s, lines %d to %d" (buffer-name)
                        (line-number-at-pos beg) (line-number-at-pos end)))
         (text (omnirt-calls-clean
                (format "%s:\n```\n%s\n```" place
                        (buffer-substring-no-properties beg end)))))
    (with-current-buffer (omnirt--current)
      (push (cons text (concat "You show " place)) omnirt-transcript-shown-as)
      ;; A question about lines that were not shown would be about nothing.
      (omnirt--ask-then
       (lambda ()
         (unless (member question '(nil ""))
           (omnirt--ask :session.sendText :text question)))
       :session.sendMessage
       (list :content (vector (list :type "input_text" :text text))
             :respond :json-false)))))

(defun omnirt-interrupt ()
  "Stop what the agent is saying."
  (interactive)
  (with-current-buffer (omnirt--current)
    (omnirt--ask :session.interrupt)))

(defun omnirt--end ()
  "End the talk of this transcript, if it is not over."
  (when (and (not omnirt-transcript-over) (jsonrpc-running-p omnirt--connection))
    (omnirt--ask :session.stop)))

(defun omnirt-stop (&optional all)
  "End the talk; with ALL (a prefix argument) all of them and the daemon."
  (interactive "P")
  (if all
      (when (process-live-p omnirt--process)
        (process-send-eof omnirt--process) ; it closes its sessions and exits
        (setq omnirt--daemon nil))         ; the next talk gets another one
    (with-current-buffer (omnirt--current)
      (omnirt--end))))

(defun omnirt--exit ()
  "End the daemon before Emacs ends, so that its files are whole."
  (let ((deadline (time-add nil 3)))
    (omnirt-stop t)
    (while (and (process-live-p omnirt--process) (time-less-p nil deadline))
      (accept-process-output omnirt--process 0.1))
    (when (process-live-p omnirt--process)
      (delete-process omnirt--process))))

(add-hook 'kill-emacs-hook #'omnirt--exit)

(define-key omnirt-mode-map "s" #'omnirt-say)
(define-key omnirt-mode-map "i" #'omnirt-interrupt)
(define-key omnirt-mode-map "k" #'omnirt-stop)

(provide 'omnirt)
;;; omnirt.el ends here
